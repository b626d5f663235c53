using System;
using System.Runtime.InteropServices;
using NUnit.Framework;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>What the emulated driver counted of one kernel since it was loaded: Counters of kernels/emulate/runtime.h.</summary>
internal readonly struct KernelCounters
{
    /// <summary>Launches.</summary>
    public readonly ulong Launches;

    /// <summary>Phases of shared memory that ldmatrix needs at least.</summary>
    public readonly ulong MatrixPhases;

    /// <summary>Phases that bank conflicts added to these.</summary>
    public readonly ulong MatrixConflicts;

    /// <summary>16-byte copies by cp.async.</summary>
    public readonly ulong AsyncCopies;

    /// <summary>The counts of <paramref name="kernel"/>.</summary>
    public static unsafe KernelCounters Of(string kernel)
    {
        nint library = NativeLibrary.Load(Environment.GetEnvironmentVariable("RETRIEVAL_LIBCUDA")!);
        var read = (delegate* unmanaged<byte*, KernelCounters*, int>)NativeLibrary.GetExport(library, "emulateGetCounters");
        KernelCounters counters;
        fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(kernel + '\0')) Assert.That(read(name, &counters), Is.Zero, kernel);
        return counters;
    }
}
