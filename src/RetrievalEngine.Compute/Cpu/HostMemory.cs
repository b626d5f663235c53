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

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
