using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>
/// One call of an op with what is expected of it. <see cref="Check"/> runs it and demands: the expected numbers; untouched inputs and surroundings;
/// no block of memory left over; the same bits on a second run, on the other backends of the family, and where an output may take the place of an
/// input; and an
/// <see cref="ArgumentException"/> before anything is written when any argument has another type or size.
/// </summary>
/// <example>
/// <code>
/// new OpCall(backend).Activation("x", x, rows, width).F32("w", w, width).Output("y", y, 1e-6, rows, width).MayAlias("y", "x")
///     .Check((b, t) => b.Something(t["x"], t["w"], t["y"]));
/// </code>
/// </example>
public sealed class OpCall(TestBackend backend)
{
    private const int LargestForBadCalls = 4096, Vector = 16;
    private readonly List<Argument> _arguments = [];
    private readonly List<(string Output, string Input)> _aliases = [];
    private readonly HashSet<string> _anySize = [];

    private DType ActivationDType => backend.Device.Value.ActivationDType;

    /// <summary>An input in the backend's activation type. Draw the values in that type, so that nothing is lost here.</summary>
    public OpCall Activation(string name, double[] values, params ReadOnlySpan<long> shape) => Float(name, ActivationDType, values, shape);

    /// <summary>An F32 input.</summary>
    public OpCall F32(string name, double[] values, params ReadOnlySpan<long> shape) => Float(name, DType.F32, values, shape);

    /// <summary>An input of any float type.</summary>
    public OpCall Float(string name, DType dtype, double[] values, params ReadOnlySpan<long> shape) =>
        Add(new Argument(name, new Shape(shape), dtype, Storage.Pack(values, dtype), null, 0));

    /// <summary>An I32 input.</summary>
    public OpCall I32(string name, int[] values, params ReadOnlySpan<long> shape) =>
        Add(new Argument(name, new Shape(shape), DType.I32, MemoryMarshal.AsBytes(values.AsSpan()).ToArray(), null, 0));

    /// <summary>An I8 input.</summary>
    public OpCall I8(string name, sbyte[] values, params ReadOnlySpan<long> shape) =>
        Add(new Argument(name, new Shape(shape), DType.I8, MemoryMarshal.AsBytes(values.AsSpan()).ToArray(), null, 0));

    /// <summary>An output in the activation type; NaN before the call.</summary>
    public OpCall Output(string name, double[] expected, double tolerance, params ReadOnlySpan<long> shape) =>
        Output(name, ActivationDType, expected, tolerance, shape);

    /// <summary>An F32 output; NaN before the call.</summary>
    public OpCall OutputF32(string name, double[] expected, double tolerance, params ReadOnlySpan<long> shape) =>
        Output(name, DType.F32, expected, tolerance, shape);

    /// <summary>An I8 output, expected exactly; -1 before the call.</summary>
    public OpCall OutputI8(string name, sbyte[] expected, params ReadOnlySpan<long> shape) =>
        Output(name, DType.I8, Array.ConvertAll(expected, value => (double)value), 0, shape);

    /// <summary>An output of any float type; NaN before the call.</summary>
    public OpCall Output(string name, DType dtype, double[] expected, double tolerance, params ReadOnlySpan<long> shape)
    {
        byte[] poison = new byte[expected.Length * dtype.Size()];
        Array.Fill(poison, (byte)0xFF);
        return Add(new Argument(name, new Shape(shape), dtype, poison, expected, tolerance));
    }

    /// <summary>A tensor in the activation type that the op changes.</summary>
    public OpCall InPlace(string name, double[] before, double[] expected, double tolerance, params ReadOnlySpan<long> shape) =>
        Add(new Argument(name, new Shape(shape), ActivationDType, Storage.Pack(before, ActivationDType), expected, tolerance));

    /// <summary>An F32 tensor that the op changes.</summary>
    public OpCall InPlaceF32(string name, double[] before, double[] expected, double tolerance, params ReadOnlySpan<long> shape) =>
        Add(new Argument(name, new Shape(shape), DType.F32, Storage.Pack(before, DType.F32), expected, tolerance));

    /// <summary>
    /// Allows <paramref name="output"/> to be the same tensor as <paramref name="input"/>, which then must change nothing in any output.
    /// </summary>
    public OpCall MayAlias(string output, string input)
    {
        _aliases.Add((output, input));
        return this;
    }

    /// <summary>Says that <paramref name="name"/> may grow by an element without making the call wrong.</summary>
    public OpCall AnySize(string name)
    {
        _anySize.Add(name);
        return this;
    }

    /// <summary>Runs all checks on <paramref name="op"/>.</summary>
    public void Check(Action<IBackend, GuardedTensors> op)
    {
        IBackend device = backend.Device.Value;
        Dictionary<string, byte[]> first = Run(device, op, null);
        CheckNumbers(first);
        // Kernels take other paths where tensors begin at whole vectors, which may add in another order.
        if (backend.Alignment < Vector) CheckNumbers(Run(device, op, null, Vector));
        // The first run may have grown what the backend keeps for itself; the second leaves nothing.
        long blocks = DeviceMemory.LiveBlocks;
        RequireSame(first, Run(device, op, null), "on a second run");
        Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(blocks), "blocks of memory left over by the op");
        TestBackend relative = Backends.All.First(other => other.Family == backend.Family);
        if (relative != backend) RequireSame(first, Run(relative.Device.Value, op, null), $"on {relative.Name}");
        foreach ((string output, string input) in _aliases)
        {
            if (Find(output).DType == Find(input).DType) RequireSame(first, Run(device, op, (output, input)), $"with {output} in place of {input}");
        }

        if (_arguments.Sum(a => a.Shape.Count) <= LargestForBadCalls) CheckBadCalls(device, op);
    }

    /// <summary>
    /// Compares <paramref name="gradient"/> with finite differences of the op itself, by <paramref name="input"/> of Σ <paramref name="weights"/> ·
    /// <paramref name="output"/>. Arithmetic in float32 asks for large steps and wide tolerances: this finds wrong formulas, not lost digits.
    /// </summary>
    public void CheckGradient(Action<IBackend, GuardedTensors> op, string input, string output, double[] weights, double[] gradient, int samples = 4,
        double tolerance = 3e-3)
    {
        if (ActivationDType != DType.F32) Assert.Ignore("finite differences are lost in the rounding of 16 bits");
        Argument argument = Find(input), result = Find(output);
        int index = _arguments.IndexOf(argument);
        FiniteDifferences.Check(
            input,
            moved =>
            {
                _arguments[index] = argument with { Contents = Storage.Pack(moved, argument.DType) };
                return FiniteDifferences.Dot(Storage.Unpack(Run(backend.Device.Value, op, null)[output], result.DType), weights);
            },
            Storage.Unpack(argument.Contents, argument.DType), gradient, step: 1.0 / 64, tolerance: tolerance, samples: samples);
        _arguments[index] = argument;
    }

    private void CheckNumbers(Dictionary<string, byte[]> outputs)
    {
        foreach (Argument argument in _arguments.Where(a => a.Expected is not null))
        {
            Agreement.Check(
                argument.Name, Storage.Unpack(outputs[argument.Name], argument.DType), argument.Expected,
                argument.Tolerance + Storage.Epsilon(argument.DType));
        }
    }

    private static void RequireSame(Dictionary<string, byte[]> expected, Dictionary<string, byte[]> actual, string when)
    {
        foreach ((string name, byte[] bytes) in expected)
        {
            if (!actual.TryGetValue(name, out byte[]? other)) continue;
            int at = bytes.AsSpan().CommonPrefixLength(other);
            if (at < bytes.Length) Assert.Fail($"{name}: byte {at} of {bytes.Length} differs {when}");
        }
    }

    private OpCall Add(Argument argument)
    {
        _arguments.Add(argument);
        return this;
    }

    private Argument Find(string name) => _arguments.Single(a => a.Name == name);

    private Dictionary<string, byte[]> Run(IBackend device, Action<IBackend, GuardedTensors> op, (string Output, string Input)? alias,
        int? alignment = null)
    {
        Dictionary<string, byte[]> outputs = [];
        using (GuardedTensors tensors = Upload(device, _arguments.Where(a => a.Name != alias?.Output), alignment ?? backend.Alignment))
        {
            if (alias is not null) tensors.Alias(alias.Value.Output, alias.Value.Input);
            op(device, tensors);
            device.Synchronize();
            tensors.CheckGuards();
            foreach (Argument argument in _arguments)
            {
                byte[] bytes = tensors.Download(argument.Name);
                if (argument.Expected is not null) outputs[argument.Name] = bytes;
                else if (argument.Name != alias?.Input && !bytes.AsSpan().SequenceEqual(argument.Contents))
                    Assert.Fail($"the input {argument.Name} was changed");
            }
        }

        return outputs;
    }

    private void CheckBadCalls(IBackend device, Action<IBackend, GuardedTensors> op)
    {
        foreach (Argument argument in _arguments)
        {
            RequireRejected(device, op, argument, argument with { DType = DType.I64, Contents = new byte[argument.Shape.Count * sizeof(long)] });
            if (_anySize.Contains(argument.Name)) continue;
            Shape larger = Grow(argument.Shape);
            RequireRejected(device, op, argument, argument with { Shape = larger, Contents = new byte[larger.Count * argument.DType.Size()] });
        }
    }

    private void RequireRejected(IBackend device, Action<IBackend, GuardedTensors> op, Argument good, Argument bad)
    {
        using GuardedTensors tensors = Upload(device, _arguments.Select(a => a == good ? bad : a), backend.Alignment);
        Assert.That(
            () => op(device, tensors), Throws.InstanceOf<ArgumentException>().And.Not.InstanceOf<ArgumentOutOfRangeException>(),
            $"{good.Name} as {bad.DType} {bad.Shape}, not {good.DType} {good.Shape}");
        foreach (Argument argument in _arguments.Where(a => a != good))
            Assert.That(tensors.Download(argument.Name).AsSpan().SequenceEqual(argument.Contents),
                $"{argument.Name} was written although {good.Name} was refused");
    }

    private static GuardedTensors Upload(IBackend device, IEnumerable<Argument> arguments, int alignment)
    {
        GuardedTensors tensors = new(device, alignment);
        foreach (Argument argument in arguments) tensors.Add(argument.Name, argument.Shape, argument.DType, argument.Contents);
        return tensors;
    }

    private static Shape Grow(Shape shape)
    {
        long[] sizes = new long[shape.Rank];
        for (int i = 0; i < sizes.Length; i++) sizes[i] = shape[i];
        sizes[^1]++;
        return new Shape(sizes);
    }

    private sealed record Argument(string Name, Shape Shape, DType DType, byte[] Contents, double[]? Expected, double Tolerance);
}
