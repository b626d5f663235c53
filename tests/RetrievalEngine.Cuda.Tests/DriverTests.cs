using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Cuda.Driver;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>The binding of the driver library.</summary>
[TestFixture]
internal sealed class DriverTests
{
    private static readonly string[] s_names = [.. typeof(CudaDriver).GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
        .Select(m => m.GetCustomAttribute<LibraryImportAttribute>()?.EntryPoint).OfType<string>()];

    [Test]
    public void The_emulated_driver_has_every_name()
    {
        Assert.That(Absent(EmulatedCuda.Variables()["RETRIEVAL_LIBCUDA"]!), Is.Empty);
    }

    [Test]
    public void NVIDIAs_driver_has_every_name()
    {
        // The library of a machine with a GPU, or the one that get-cuda.sh fetches for this test.
        List<string> candidates = ["libcuda.so.1", "nvcuda.dll"];
        if (CudaLibrary.Root is not null && !candidates.Exists(c => NativeLibrary.TryLoad(c, out _)))
            candidates.Add(Path.Combine(Toolchain.Require(), "..", "lib64", "libcuda.so.1"));
        if (candidates.FirstOrDefault(c => NativeLibrary.TryLoad(c, out _)) is not { } path)
        {
            Assert.Ignore("NVIDIA's libcuda.so.1 is neither on the system nor beside nvcc");
            return;
        }

        Assert.That(Absent(path), Is.Empty);
    }

    [Test]
    public void Errors_name_call_error_and_wish()
    {
        RequireDriver();
        CudaException e = Assert.Throws<CudaException>(() => CudaDriver.Check(1, "cuSomething"))!;
        Assert.That(e.Message, Is.EqualTo("CUDA: cuSomething gave CUDA_ERROR_INVALID_VALUE (invalid argument)"));
        Assert.That(e.Result, Is.EqualTo(1));
        Assert.That(new CudaException("cuMemAlloc", 2, "9 bytes were wanted").Message,
            Is.EqualTo("CUDA: cuMemAlloc gave CUDA_ERROR_OUT_OF_MEMORY (out of memory); 9 bytes were wanted"));
        Assert.That(new CudaException("cuNew", 98765).Message, Is.EqualTo("CUDA: cuNew gave CUDA error 98765 (unknown to the driver)"));
    }

    [Test]
    public void Devices_are_described()
    {
        RequireDriver();
        CudaDevice device = CudaDevice.List(out string reason)[0];
        Assert.That(reason, Is.Empty);
        Assert.That(device.Ordinal, Is.Zero);
        Assert.That(device.Unusable, Is.Null);
        Assert.That(device.ToString(), Does.EndWith($"(sm_{device.Major}{device.Minor})"));
        Assert.That(device.TotalBytes, Is.GreaterThan(1L << 28));
        Assert.That(device.SharedBytesPerBlock, Is.InRange(99 << 10, 256 << 10));
        Assert.That(device.Multiprocessors, Is.Positive);
    }

    [TestCase(7, 5, 12040, "Old (sm_75) is too old: the kernels need sm_80 (Ampere) or newer")]
    [TestCase(8, 0, 11080, "the driver is too old: it knows CUDA 11.8, and the kernels need 12.0 (driver 525 or newer)")]
    [TestCase(9, 0, 12000, null)]
    public void What_is_too_old_says_so(int major, int minor, int driver, string? expected) =>
        Assert.That(new CudaDevice(0, "Old", major, minor, 1L << 30, 1, 1 << 16, driver).Unusable, Is.EqualTo(expected));

    [Test]
    public void TryCreate_says_why_there_is_no_backend()
    {
        RequireDriver();
        int count = CudaDevice.List(out _).Count;
        Assert.That(CudaBackend.TryCreate(count, Compute.DType.F32, out CudaBackend? none, out string reason), Is.False);
        Assert.That(none, Is.Null);
        Assert.That(reason, Does.StartWith($"there is no cuda:{count}; the devices here are cuda:0"));

        string? kernels = Environment.GetEnvironmentVariable(KernelCatalogue.FolderVariable);
        string empty = Directory.CreateTempSubdirectory("kernels").FullName;
        try
        {
            Environment.SetEnvironmentVariable(KernelCatalogue.FolderVariable, empty);
            Assert.That(CudaBackend.TryCreate(0, Compute.DType.F32, out _, out reason), Is.False);
            Assert.That(reason, Is.EqualTo($"RETRIEVAL_KERNELS is {empty}, which holds no *.fatbin"));
        }
        finally
        {
            Environment.SetEnvironmentVariable(KernelCatalogue.FolderVariable, kernels);
            Directory.Delete(empty);
        }
    }

    private static void RequireDriver()
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
    }

    private static IEnumerable<string> Absent(string library)
    {
        Assert.That(s_names, Has.Length.GreaterThan(30));
        nint handle = NativeLibrary.Load(library);
        return s_names.Where(name => !NativeLibrary.TryGetExport(handle, name, out _));
    }
}
