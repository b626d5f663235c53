using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>
/// Each instruction of kernels/core/ptx.cuh against its definition, layouts of registers included: on a machine without a GPU this tests the emulator, on a GPU
/// that the emulator is right.
/// </summary>
[TestFixture]
internal sealed class InstructionTests
{
    private const int Lanes = 32;
    private CudaBackend _backend = null!;
    private GuardedTensors _tensors = null!;

    [OneTimeSetUp]
    public void Create()
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        Assert.That(CudaBackend.TryCreate(0, DType.BF16, out CudaBackend? backend, out string why), why);
        _backend = backend!;
    }

    [OneTimeTearDown]
    public void Dispose() => _backend?.Dispose();

    [SetUp]
    public void CreateTensors() => _tensors = new GuardedTensors(_backend, 16);

    [TearDown]
    public void CheckTensors()
    {
        if (_tensors is null) return;
        _tensors.CheckGuards();
        _tensors.Dispose();
    }

    [Test]
    public void Load_matrix([Values] bool transposed)
    {
        ushort[] matrices = [.. Enumerable.Range(0, 4 * 64).Select(i => (ushort)(i * 257 + 3))];
        Put("matrices", matrices);
        Put("r", new uint[Lanes * 4]);
        Launch("instruction_load_matrix", 1, Lanes, [_tensors["matrices"], _tensors["r"], transposed ? 1 : 0]);
        uint[] r = Get<uint>("r");
        for (int l = 0; l < Lanes; l++)
        {
            for (int i = 0; i < 4; i++)
            {
                int g = l / 4, t = l % 4;
                ushort Element(int k) => transposed ? matrices[i * 64 + k * 8 + g] : matrices[i * 64 + g * 8 + k];
                Assert.That(r[l * 4 + i], Is.EqualTo(Element(2 * t) | (uint)Element(2 * t + 1) << 16), $"lane {l}, register {i}");
            }
        }
    }

    [Test]
    public void Mma([Values("f16", "bf16", "s8")] string type)
    {
        int depth = type == "s8" ? 32 : 16, each = type == "s8" ? 4 : 2;
        // Small integers: exact in every type, whatever the order of sums.
        int A(int row, int k) => (row * 7 + k * 5) % 13 - 6;
        int B(int k, int column) => (column * 3 + k * 11) % 9 - 4;
        int C(int row, int column) => row * 8 + column;
        uint Pack(Func<int, int> value) => (uint)Enumerable.Range(0, each).Aggregate(0u, (word, i) => word | Bits(type, value(i)) << (i * 32 / each));
        uint[] a = new uint[Lanes * 4], b = new uint[Lanes * 2], d = new uint[Lanes * 4];
        for (int l = 0; l < Lanes; l++)
        {
            int g = l / 4, t = l % 4;
            for (int i = 0; i < 4; i++)
            {
                a[l * 4 + i] = Pack(e => A(g + 8 * (i & 1), each * t + e + depth / 2 * (i >> 1)));
                int value = C(g + 8 * (i >> 1), 2 * t + i % 2);
                d[l * 4 + i] = type == "s8" ? (uint)value : BitConverter.SingleToUInt32Bits(value);
            }

            for (int i = 0; i < 2; i++) b[l * 2 + i] = Pack(e => B(each * t + e + depth / 2 * i, g));
        }

        Put("a", a);
        Put("b", b);
        Put("d", d);
        Launch($"instruction_mma_{type}", 1, Lanes, [_tensors["a"], _tensors["b"], _tensors["d"]]);
        d = Get<uint>("d");
        for (int l = 0; l < Lanes; l++)
        {
            for (int i = 0; i < 4; i++)
            {
                int row = l / 4 + 8 * (i >> 1), column = l % 4 * 2 + i % 2;
                int expected = C(row, column) + Enumerable.Range(0, depth).Sum(k => A(row, k) * B(k, column));
                Assert.That(type == "s8" ? (int)d[l * 4 + i] : BitConverter.UInt32BitsToSingle(d[l * 4 + i]), Is.EqualTo(expected), $"lane {l}, register {i}");
            }
        }
    }

    [Test]
    public void Widening_every_value([Values("f16", "bf16")] string type)
    {
        ushort[] all = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        Put("x", all);
        Put("y", new float[all.Length]);
        Launch($"instruction_widen_{type}", 8, 256, [_tensors["x"], _tensors["y"], all.Length]);
        float[] y = Get<float>("y");
        for (int i = 0; i < all.Length; i++) Assert.That(y[i], Is.EqualTo(Widen(type, all[i])), $"{i:x4}");
    }

    [Test]
    public void Widening_every_byte()
    {
        byte[] x = [.. Enumerable.Range(0, 256).Select(i => (byte)(i * 77))];
        Put("x", x);
        Put("y", new ushort[x.Length]);
        Launch("instruction_widen_s8", 1, 256, [_tensors["x"], _tensors["y"], x.Length / 4]);
        Assert.That(Get<ushort>("y"), Is.EqualTo(x.Select(value => Round("f16", (sbyte)value))));
    }

    [Test]
    public void Rounding_at_every_border([Values("f16", "bf16")] string type)
    {
        // Every value, the middle between it and the next, and the floats beside that middle.
        List<float> x = [];
        for (int i = 0; i < 65536; i++)
        {
            float value = Widen(type, (ushort)i), next = Widen(type, (ushort)(i + 1));
            x.Add(value);
            float middle = (float)(((double)value + next) / 2);
            if (!float.IsFinite(middle)) middle = value;
            x.AddRange([middle, MathF.BitIncrement(middle), MathF.BitDecrement(middle)]);
        }

        x.AddRange([float.MaxValue, -float.MaxValue, 65519.996f, 65520f, float.Epsilon, -float.Epsilon, BitConverter.UInt32BitsToSingle(0xff800001), 0f]);
        Put("x", x.ToArray());
        Put("y", new ushort[x.Count]);
        Put("pairs", new uint[x.Count]);
        Launch($"instruction_round_{type}", 16, 256, [_tensors["x"], _tensors["y"], _tensors["pairs"], x.Count]);
        ushort[] y = Get<ushort>("y");
        uint[] pairs = Get<uint>("pairs");
        for (int i = 0; i < x.Count; i++)
        {
            ushort expected = Round(type, x[i]);
            if (y[i] != expected || pairs[i] != (uint)(expected | Round(type, x[i ^ 1]) << 16))
                Assert.Fail($"{x[i]:r}: {y[i]:x4} and {pairs[i]:x8}, not {expected:x4}");
        }
    }

    [Test]
    public void Exp2()
    {
        float[] x = [.. Enumerable.Range(-15200, 27800).Select(i => i / 100f), float.NegativeInfinity, float.PositiveInfinity, float.NaN, 0f, -0f, 1f, -126f];
        Put("x", x);
        Put("y", new float[x.Length]);
        Launch("instruction_exp2", 8, 256, [_tensors["x"], _tensors["y"], x.Length]);
        float[] y = Get<float>("y");
        for (int i = 0; i < x.Length; i++)
        {
            double expected = Math.Pow(2, x[i]);
            if (expected < 1.2e-38) Assert.That(y[i], Is.EqualTo(expected).Within(1.2e-38), $"2^{x[i]}");
            else Assert.That((double)y[i], Is.EqualTo(expected).Within(double.IsFinite(expected) ? expected * 3e-7 : 0), $"2^{x[i]}");
        }
    }

    [Test]
    public void Collectives()
    {
        Put("y", new ulong[7 * 64]);
        Launch("instruction_collectives", 1, 64, [_tensors["y"]]);
        ulong[] y = Get<ulong>("y");
        for (int i = 0; i < 64; i++)
        {
            int source = i / 32 * 32 + (3 * (i % 32) + 1) % 32;
            ulong[] expected = [BitConverter.SingleToUInt32Bits(i ^ 5), unchecked((ulong)-(i ^ 5)), (ulong)(i ^ 5) << 40 | 7, (ulong)source << 40,
                i >= 32 ? 0xaaaaaaaau : 0u, 1, 0];
            for (int j = 0; j < expected.Length; j++) Assert.That(y[j * 64 + i], Is.EqualTo(expected[j]), $"result {j} of thread {i}");
        }
    }

    [Test]
    public void Copy_async()
    {
        byte[] x = [.. Enumerable.Range(1, 16).Select(i => (byte)i)];
        Put("x", x);
        Put("y", new byte[19 * 16]);
        Launch("instruction_copy_async", 1, Lanes, [_tensors["x"], _tensors["y"]]);
        byte[] y = Get<byte>("y");
        for (int i = 0; i < 19; i++)
        {
            int bytes = i < 17 ? i : i == 17 ? 16 : 0;
            for (int j = 0; j < 16; j++) Assert.That(y[i * 16 + j], Is.EqualTo(j < bytes ? x[j] : 0), $"byte {j} of copy {i}");
        }
    }

    [Test]
    public void Atomics()
    {
        Put("counts", new uint[] { 5 });
        Put("before", new uint[128]);
        Put("largest", new ulong[] { 3 });
        Launch("instruction_atomics", 2, 64, [_tensors["counts"], _tensors["before"], _tensors["largest"]]);
        Assert.That(Get<uint>("counts")[0], Is.EqualTo(5 + 128));
        Assert.That(Get<uint>("before").Order(), Is.EqualTo(Enumerable.Range(5, 128).Select(i => (uint)i)));
        Assert.That(Get<ulong>("largest")[0], Is.EqualTo(Enumerable.Range(0, 128).Max(i => (ulong)(i * 37 % 128) << 33 | (uint)i)));
    }

    private static float Widen(string type, ushort bits) =>
        type == "f16" ? (float)BitConverter.UInt16BitsToHalf(bits) : BitConverter.UInt32BitsToSingle((uint)bits << 16);

    // To nearest, ties to even, NaN as 7fff.
    private static ushort Round(string type, float x)
    {
        if (float.IsNaN(x)) return 0x7fff;
        if (type == "f16") return BitConverter.HalfToUInt16Bits((Half)x);
        uint bits = BitConverter.SingleToUInt32Bits(x), rest = bits & 0xffff, kept = bits >> 16;
        return (ushort)(kept + (rest > 0x8000 || (rest == 0x8000 && kept % 2 == 1) ? 1u : 0u));
    }

    private static uint Bits(string type, int value) => type == "s8" ? (byte)(sbyte)value : Round(type, value);

    private void Put<T>(string name, T[] values)
        where T : unmanaged
    {
        byte[] bytes = MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
        _tensors.Add(name, new Shape(bytes.Length), DType.I8, bytes);
    }

    private T[] Get<T>(string name)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(_tensors.Download(name)).ToArray();

    private void Launch(string kernel, int blocks, int threads, ReadOnlySpan<KernelArgument> arguments) =>
        _backend.Launch("instructions", kernel, new Grid(blocks), threads, 0, arguments);
}
