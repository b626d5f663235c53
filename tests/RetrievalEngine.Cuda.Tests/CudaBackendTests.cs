using System;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>Memory, copies and launches of the CUDA backend; the ops have their fixtures in Compute.Tests.</summary>
[TestFixture]
internal sealed class CudaBackendTests
{
    private CudaBackend _backend = null!;

    [OneTimeSetUp]
    public void Create()
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        Assert.That(CudaBackend.TryCreate(0, DType.BF16, out CudaBackend? backend, out string why), why);
        _backend = backend!;
    }

    [OneTimeTearDown]
    public void Dispose() => _backend?.Dispose();

    [Test]
    public void Blocks_are_counted_and_given_back()
    {
        long blocks = DeviceMemory.LiveBlocks, bytes = DeviceMemory.LiveBytes, free = _backend.FreeBytes!.Value;
        using (DeviceMemory memory = _backend.Allocate(64 << 20))
        {
            Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(blocks + 1));
            Assert.That(DeviceMemory.LiveBytes, Is.EqualTo(bytes + (64 << 20)));
            Assert.That(_backend.FreeBytes, Is.LessThanOrEqualTo(free - (64 << 20)));
        }

        Assert.That((DeviceMemory.LiveBlocks, DeviceMemory.LiveBytes), Is.EqualTo((blocks, bytes)));
        Assert.That(_backend.FreeBytes!.Value, Is.EqualTo(free).Within(2 << 20));
        using DeviceMemory nothing = _backend.Allocate(0);
        Assert.That(nothing.Length, Is.Zero);
    }

    [Test]
    public void Too_large_a_block_says_what_was_wanted_and_what_is_free()
    {
        long blocks = DeviceMemory.LiveBlocks;
        CudaException e = Assert.Throws<CudaException>(() => _backend.Allocate(1L << 50))!;
        Assert.That(e.Message, Does.Match(
            @"^CUDA: cuMemAlloc gave CUDA_ERROR_OUT_OF_MEMORY \(out of memory\); 1125899906842624 bytes were wanted, \d+ of \d+ are free$"));
        Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(blocks));
    }

    [TestCase(1)]
    [TestCase(4 << 20)]
    [TestCase((4 << 20) + 1)]
    [TestCase(45_000_001)]
    public void What_goes_up_comes_down(int length)
    {
        byte[] there = new byte[length], back = new byte[length];
        new Random(length).NextBytes(there);
        using DeviceMemory memory = _backend.Allocate(length);
        Tensor tensor = new(memory, 0, new Shape(length), DType.I8);
        byte[] source = [.. there];
        _backend.Upload(source, tensor);
        // The source is the caller's again as soon as the call returns.
        Array.Clear(source);
        _backend.Download(tensor, back);
        Assert.That(back.AsSpan().SequenceEqual(there));
    }

    [Test]
    public void Small_uploads_in_a_row_do_not_overtake_each_other()
    {
        const int Count = 3000, Size = 7001;
        using DeviceMemory memory = _backend.Allocate(Count * Size);
        byte[] part = new byte[Size], all = new byte[Count * Size];
        for (int i = 0; i < Count; i++)
        {
            Array.Fill(part, (byte)(i * 31 >> 3));
            _backend.Upload(part, new Tensor(memory, (long)i * Size, new Shape(Size), DType.I8));
        }

        _backend.Download(new Tensor(memory, 0, new Shape(all.Length), DType.I8), all);
        for (int i = 0; i < Count; i++) Assert.That(all.AsSpan(i * Size, Size).IndexOfAnyExcept((byte)(i * 31 >> 3)), Is.EqualTo(-1), $"upload {i}");
    }

    [Test]
    public void Files_are_loaded_as_they_are()
    {
        string path = Path.GetTempFileName();
        try
        {
            byte[] bytes = new byte[20_000_003];
            new Random(1).NextBytes(bytes);
            File.WriteAllBytes(path, bytes);
            using MappedFile file = MappedFile.Open(path);
            Tensor tensor = _backend.Load(file, 3, new Shape(1000, 10_000), DType.BF16);
            byte[] back = new byte[tensor.Bytes];
            _backend.Download(tensor, back);
            tensor.Memory!.Dispose();
            Assert.That(back.AsSpan().SequenceEqual(bytes.AsSpan(3)));
            long blocks = DeviceMemory.LiveBlocks;
            Assert.That(() => _backend.Load(file, 4, new Shape(1000, 10_000), DType.BF16), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(blocks));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void Host_memory_is_refused()
    {
        using CpuMemory host = new(64);
        Tensor tensor = new(host, 0, new Shape(16), DType.F32);
        Assert.That(() => _backend.Add(tensor, tensor, tensor),
            Throws.InvalidOperationException.With.Message.EqualTo("F32 [16] is not in a GPU's memory; upload it first"));
    }

    [Test]
    public void A_kernel_that_does_not_exist_is_named()
    {
        using KernelCatalogue catalogue = new(_backend.Device);
        Assert.That(() => catalogue.Function("elementwise", "subtract_f32"), Throws.InstanceOf<CudaException>().With.Message.Contains(
            "elementwise.fatbin has no kernel subtract_f32; was it compiled from another version of the sources?"));
        Assert.That(() => catalogue.Function("absent", "absent_f32"), Throws.InstanceOf<CudaException>().With.Message.Contains("no absent.fatbin"));
    }

    [Test]
    public void A_grid_has_bounds()
    {
        Assert.That(() => new Grid(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Grid(1, 65536), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Grid(1L << 31), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(new Grid(3, 2).Y, Is.EqualTo(2u));
    }

    [Test]
    public void A_warm_step_allocates_nothing()
    {
        using Arena arena = new(_backend);
        Tensor x = arena.Allocate(new Shape(512, 64), DType.BF16), y = arena.Allocate(new Shape(512, 64), DType.BF16);
        Tensor wide = arena.Allocate(new Shape(512, 64)), ids = arena.Allocate(new Shape(512), DType.I32);
        int[] host = [.. Enumerable.Range(0, 512)];
        byte[] back = new byte[x.Bytes];
        Step();
        Step();
        long managed = GC.GetAllocatedBytesForCurrentThread(), device = DeviceMemory.LiveBytes;
        for (int i = 0; i < 10; i++) Step();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - managed, Is.Zero);
        Assert.That(DeviceMemory.LiveBytes, Is.EqualTo(device));

        void Step()
        {
            _backend.Upload(MemoryMarshal.AsBytes(host.AsSpan()), ids);
            _backend.Fill(wide, 0.5f);
            _backend.Cast(wide, x);
            _backend.Copy(x, y);
            _backend.Add(x, y, y);
            _backend.Scale(y, 0.5f, y);
            _backend.GatedActivationForward(x, y, Activation.Silu, y);
            _backend.Download(y, back);
        }
    }
}
