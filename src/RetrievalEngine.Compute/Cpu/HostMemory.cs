using System;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Blocks of host memory, aligned to 64 bytes or, where they are large, to huge pages, which Linux is asked to use: matrix products touch more pages
/// than the processor remembers.
/// </summary>
internal static unsafe partial class HostMemory
{
    private const long HugePage = 2 << 20;
    private const int AdviseHugePage = 14;

    /// <summary>Advice for <see cref="AdvisePages"/>: the pages will be read soon; they will not.</summary>
    public const int WillNeed = 3, DoNotNeed = 4;

    /// <summary>At least <paramref name="bytes"/> bytes; contents undefined.</summary>
    /// <exception cref="OutOfMemoryException">The system has not that much.</exception>
    public static byte* Allocate(long bytes)
    {
        if (bytes < 2 * HugePage) return (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), 64);
        long rounded = (bytes + HugePage - 1) / HugePage * HugePage;
        byte* block = (byte*)NativeMemory.AlignedAlloc((nuint)rounded, (nuint)HugePage);
        // A wish: where it is not granted, pages are small.
        if (OperatingSystem.IsLinux()) _ = Advise(block, (nuint)rounded, AdviseHugePage);
        return block;
    }

    /// <summary>Frees a block of <see cref="Allocate"/>.</summary>
    public static void Free(void* block) => NativeMemory.AlignedFree(block);

    /// <summary>Tells Linux about the whole pages between two places of a mapped file; elsewhere nothing happens.</summary>
    public static void AdvisePages(byte* start, long length, int advice)
    {
        long page = Environment.SystemPageSize, first = ((long)start + page - 1) / page * page, end = ((long)start + length) / page * page;
        if (OperatingSystem.IsLinux() && first < end) _ = Advise((void*)first, (nuint)(end - first), advice);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
