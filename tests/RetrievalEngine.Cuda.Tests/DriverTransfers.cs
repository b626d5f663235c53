using System;
using System.Runtime.InteropServices;
using NUnit.Framework;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>What programs asked of the emulated driver since it was loaded: Transfers of kernels/emulate/driver.h.</summary>
internal readonly record struct DriverTransfers
{
    /// <summary>Blocks of device or pinned memory.</summary>
    public readonly ulong Allocations;

    /// <summary>Copies to a device.</summary>
    public readonly ulong Uploads;

    /// <summary>Copies from a device.</summary>
    public readonly ulong Downloads;

    private DriverTransfers(ulong allocations, ulong uploads, ulong downloads) => (Allocations, Uploads, Downloads) = (allocations, uploads, downloads);

    /// <summary>The counts so far.</summary>
    public static unsafe DriverTransfers Read()
    {
        nint library = NativeLibrary.Load(Environment.GetEnvironmentVariable("RETRIEVAL_LIBCUDA")!);
        var read = (delegate* unmanaged<DriverTransfers*, int>)NativeLibrary.GetExport(library, "emulateGetTransfers");
        DriverTransfers transfers;
        Assert.That(read(&transfers), Is.Zero);
        return transfers;
    }

    /// <summary>What was asked since <paramref name="before"/>.</summary>
    public DriverTransfers Since(DriverTransfers before) => new(Allocations - before.Allocations, Uploads - before.Uploads, Downloads - before.Downloads);
}
