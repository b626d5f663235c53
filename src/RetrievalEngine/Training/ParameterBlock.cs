using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;

namespace RetrievalEngine.Training;

/// <summary>
/// All trained parameters, their gradients and AdamW's moments, each group in one F32 block, so that norm, clip and update are one pass.
/// Taking parameters in replaces their values and gradients by views of the blocks.
/// </summary>
public sealed class ParameterBlock : IDisposable
{
    private const long Alignment = 64;
    private readonly IBackend _backend;
    private readonly DeviceMemory _memory;
    private readonly Parameter[] _parameters;
    private readonly Tensor[] _originals;
    private readonly long _decayed;
    private readonly Tensor _values, _gradients, _m, _v, _sumOfSquares;

    /// <summary>
    /// Trains <paramref name="parameters"/>. Weight decay applies to all of them, or with <paramref name="spareNormsAndBiases"/> to those that are matrices.
    /// </summary>
    public ParameterBlock(IBackend backend, IEnumerable<Parameter> parameters, bool spareNormsAndBiases = false)
    {
        ArgumentNullException.ThrowIfNull(backend);
        _backend = backend;
        _parameters = [.. parameters.OrderBy(p => spareNormsAndBiases && p.Value.Shape.Rank < 2)];
        _originals = Array.ConvertAll(_parameters, p => p.Value);
        long total = 0;
        foreach (Parameter parameter in _parameters)
        {
            total += Padded(parameter);
            if (!spareNormsAndBiases || parameter.Value.Shape.Rank >= 2) _decayed = total;
        }

        _memory = backend.Allocate(((4 * total) + 1) * sizeof(float));
        Tensor Block(long index) => new(_memory, index * total * sizeof(float), new Shape(total), DType.F32);
        (_values, _gradients, _m, _v) = (Block(0), Block(1), Block(2), Block(3));
        _sumOfSquares = new Tensor(_memory, 4 * total * sizeof(float), new Shape(1), DType.F32);
        foreach (Tensor block in (ReadOnlySpan<Tensor>)[_values, _gradients, _m, _v]) backend.Fill(block, 0);
        long offset = 0;
        foreach (Parameter parameter in _parameters)
        {
            Tensor View(Tensor block) => new(_memory, block.Offset + (offset * sizeof(float)), parameter.Value.Shape, DType.F32);
            Tensor value = View(_values);
            backend.Cast(parameter.Value, value);
            parameter.Value = value;
            parameter.Gradient = View(_gradients);
            offset += Padded(parameter);
        }
    }

    /// <summary>The trained parameters, in the order of the block.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>Number of trained weights.</summary>
    public long Count => _parameters.Sum(p => p.Value.Count);

    /// <summary>Values and both moments, as a checkpoint keeps them: names and tensors.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> State => [("values", _values), ("exp_avg", _m), ("exp_avg_sq", _v)];

    /// <summary>Sets all gradients to zero: the start of a step.</summary>
    public void ZeroGradients() => _backend.Fill(_gradients, 0);

    /// <summary>Divides all gradients by <paramref name="scale"/> and gives their L2 norm.</summary>
    public float Unscale(float scale)
    {
        _backend.Scale(_gradients, 1 / scale, _gradients);
        _backend.SumOfSquares(_gradients, _sumOfSquares, accumulate: false);
        return MathF.Sqrt(_backend.ToArray(_sumOfSquares)[0]);
    }

    /// <summary>
    /// Norm, clip and one AdamW step over the whole block. The squared L2 norm of all gradients together is left in <paramref name="squaredNorm"/> [1] too.
    /// </summary>
    public void Step(AdamW options, Tensor squaredNorm = default)
    {
        _backend.SumOfSquares(_gradients, _sumOfSquares, accumulate: false);
        if (!squaredNorm.IsEmpty) _backend.Copy(_sumOfSquares, squaredNorm);
        Update(0, _decayed, options);
        Update(_decayed, _values.Count - _decayed, options with { WeightDecay = 0 });
    }

    /// <summary>The first trained parameter with a NaN or infinite gradient, for the message of a run that stops.</summary>
    public Parameter? FirstNonFiniteGradient()
    {
        foreach (Parameter parameter in _parameters)
        {
            if (!Array.TrueForAll(_backend.ToArray(parameter.Gradient), float.IsFinite)) return parameter;
        }

        return null;
    }

    /// <summary>Gives the memory back; the parameters are what they were before training.</summary>
    public void Dispose()
    {
        for (int i = 0; i < _parameters.Length; i++)
        {
            _parameters[i].Value = _originals[i];
            _parameters[i].Gradient = default;
        }

        _memory.Dispose();
    }

    private static long Padded(Parameter parameter) => (parameter.Value.Count + Alignment - 1) / Alignment * Alignment;

    private void Update(long start, long count, AdamW options)
    {
        if (count == 0) return;
        _backend.AdamWStep(_values.Slice(start, count), _gradients.Slice(start, count), _m.Slice(start, count), _v.Slice(start, count), options, _sumOfSquares);
    }
}
