using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Linear maps, or parts of them, that share their input (q, k and v; gate and up), so that a backend can read it once.</summary>
internal sealed class LinearGroup
{
    private readonly IBackend _backend;
    private readonly LinearPart[] _linears;

    /// <summary>The maps, in the order of the outputs.</summary>
    public LinearGroup(IBackend backend, params LinearPart[] linears)
    {
        _backend = backend;
        _linears = linears;
    }

    /// <summary>
    /// y[i] [T, out] = f(x·Wᵀ + bias + adapter) in the type of x, allocated in <paramref name="arena"/>. <paramref name="seed"/> picks the dropout masks; 0 for none.
    /// </summary>
    public Tensor[] Forward(Tensor x, ulong seed, Arena arena, out Saved saved, Activation activation = Activation.None)
    {
        Projection[] projections = Array.ConvertAll(_linears, linear => linear.Projection);
        Tensor[] s = new Tensor[_linears.Length], y = new Tensor[_linears.Length];
        float probability = 0;
        for (int i = 0; i < _linears.Length; i++)
        {
            y[i] = arena.Allocate(new Shape(x.Shape[0], _linears[i].Outputs), x.DType);
            if (_linears[i].Linear.Lora is not { } lora) continue;
            s[i] = arena.Allocate(new Shape(x.Shape[0], projections[i].Rank), x.DType);
            probability = Math.Max(probability, lora.DropoutProbability);
        }

        Dropout dropout = seed == 0 ? Dropout.None : new Dropout(probability, seed);
        _backend.LoraMatMulForward(x, projections, dropout, s, y, activation);
        saved = new Saved(x, s, dropout);
        return y;
    }

    /// <summary>Adds the parameters' gradients and writes, or adds to, <paramref name="dx"/> [T, in]; none where nothing below is trained.</summary>
    public void Backward(ReadOnlySpan<Tensor> dy, Saved saved, Tensor dx, bool accumulate)
    {
        Projection[] projections = Array.ConvertAll(_linears, linear => linear.Projection);
        ProjectionGradient[] gradients = Array.ConvertAll(_linears, linear => linear.Gradient);
        _backend.LoraMatMulBackward(dy, saved.X, projections, saved.Dropout, saved.S, gradients, dx, accumulate);
    }

    /// <summary>What backward needs.</summary>
    internal readonly record struct Saved(Tensor X, Tensor[] S, Dropout Dropout);
}
