using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

/// <summary>Fill, Cast, Add, Scale.</summary>
[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class ElementwiseTests(TestBackend backend)
{
    private static readonly DType[] s_floats = [DType.F32, DType.F16, DType.BF16];

    private static int[] Counts { get; } = [.. Sizes.VectorOrNone, 1000, 100_003];

    [TestCaseSource(nameof(Counts))]
    public void Add_agrees_with_the_definition(int count)
    {
        DType dtype = backend.Device.Value.ActivationDType;
        RandomTensors random = new(count);
        double[] a = random.Normal(count, dtype: dtype), b = random.Normal(count, dtype: dtype);
        new OpCall(backend).Activation("a", a, count).Activation("b", b, count).Output("sum", [.. a.Zip(b, (x, y) => x + y)], 1e-7, count)
            .MayAlias("sum", "a").MayAlias("sum", "b").Check((d, t) => d.Add(t["a"], t["b"], t["sum"]));
    }

    [TestCaseSource(nameof(Counts))]
    public void Scale_agrees_with_the_definition(int count)
    {
        double[] x = new RandomTensors(count).Normal(count, dtype: backend.Device.Value.ActivationDType);
        new OpCall(backend).Activation("x", x, count).Output("y", [.. x.Select(value => -0.3f * value)], 1e-7, count).MayAlias("y", "x")
            .Check((d, t) => d.Scale(t["x"], -0.3f, t["y"]));
    }

    [TestCaseSource(nameof(Counts))]
    public void Fill_sets_every_element(int count) =>
        new OpCall(backend).OutputF32("x", [.. Enumerable.Repeat(1.5, count)], 0, count).AnySize("x").Check((d, t) => d.Fill(t["x"], 1.5f));

    [Test]
    public void Cast_agrees_with_the_definition([ValueSource(nameof(Counts))] int count, [ValueSource(nameof(s_floats))] DType from,
        [ValueSource(nameof(s_floats))] DType to)
    {
        double[] x = new RandomTensors(count).Normal(count, 3, from);
        new OpCall(backend).Float("x", from, x, count).Output("y", to, [.. x.Select(value => Storage.Round(value, to))], 0, count)
            .Check((d, t) => d.Cast(t["x"], t["y"]));
    }

    [Test]
    public void Every_16_bit_number_widens_exactly_and_comes_back([Values(DType.F16, DType.BF16)] DType dtype)
    {
        ushort[] all = [.. Enumerable.Range(0, 65536).Select(bits => (ushort)bits)];
        byte[] bytes = MemoryMarshal.AsBytes(all.AsSpan()).ToArray();
        IBackend device = backend.Device.Value;
        using GuardedTensors tensors = new(device, backend.Alignment);
        Shape shape = new(all.Length);
        tensors.Add("narrow", shape, dtype, bytes);
        tensors.Add("wide", shape, DType.F32, new byte[all.Length * 4]);
        tensors.Add("back", shape, dtype, new byte[all.Length * 2]);
        device.Cast(tensors["narrow"], tensors["wide"]);
        device.Cast(tensors["wide"], tensors["back"]);
        float[] wide = MemoryMarshal.Cast<byte, float>(tensors.Download("wide")).ToArray();
        ushort[] back = MemoryMarshal.Cast<byte, ushort>(tensors.Download("back")).ToArray();
        double[] expected = Storage.Unpack(bytes, dtype);
        for (int bits = 0; bits < all.Length; bits++)
        {
            if (!((double)wide[bits]).Equals(expected[bits])) Assert.Fail($"{bits:x4} became {wide[bits]}, not {expected[bits]}");
            bool same = double.IsNaN(expected[bits]) ? double.IsNaN(Storage.Unpack(MemoryMarshal.AsBytes(back.AsSpan(bits, 1)), dtype)[0])
                : back[bits] == bits;
            if (!same) Assert.Fail($"{bits:x4} came back as {back[bits]:x4}");
        }
    }

    [Test]
    public void Narrowing_rounds_to_nearest_even_everywhere([Values(DType.F16, DType.BF16)] DType dtype)
    {
        // Every exponent and sign with mantissas around the places where rounding turns, and some at random.
        Random random = new(5);
        List<float> values = [];
        for (uint exponent = 0; exponent < 512; exponent++)
        {
            foreach (uint mantissa in (uint[])[0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF, 0x2000, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x18000, 0x7FEFFF,
                0x7FF000, 0x7FFFFF])
                values.Add(BitConverter.UInt32BitsToSingle((exponent << 23) | mantissa));
            for (int i = 0; i < 20; i++) values.Add(BitConverter.UInt32BitsToSingle((exponent << 23) | (uint)random.Next(1 << 23)));
        }

        IBackend device = backend.Device.Value;
        using GuardedTensors tensors = new(device, backend.Alignment);
        Shape shape = new(values.Count);
        tensors.Add("wide", shape, DType.F32, MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(values)));
        tensors.Add("narrow", shape, dtype, new byte[values.Count * 2]);
        device.Cast(tensors["wide"], tensors["narrow"]);
        double[] actual = Storage.Unpack(tensors.Download("narrow"), dtype);
        for (int i = 0; i < values.Count; i++)
        {
            double expected = Storage.Round(values[i], dtype);
            if (!actual[i].Equals(expected)) Assert.Fail($"{values[i]:g9} became {actual[i]}, not {expected}");
        }
    }

    [Test]
    public void Integers_are_no_activations()
    {
        IBackend device = backend.Device.Value;
        using GuardedTensors tensors = new(device, backend.Alignment);
        tensors.Add("x", new Shape(3), DType.I32, new byte[12]);
        Assert.That(() => device.Add(tensors["x"], tensors["x"], tensors["x"]),
            Throws.ArgumentException.With.Message.EqualTo("Add: a is I32 [3] but must be of a float type"));
        Assert.That(() => device.Add(default, tensors["x"], tensors["x"]),
            Throws.ArgumentException.With.Message.EqualTo("Add: a is no tensor but must be of a float type"));
    }
}
