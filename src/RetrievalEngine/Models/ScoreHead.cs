using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// What makes a reranker of a backbone: one number a sequence. A linear map of the pooled hidden state, which some families transform first
/// (dense map, activation, norm). All of it is computed in F32, whatever the layers compute in.
/// </summary>
public sealed class ScoreHead
{
    private readonly IBackend _backend;
    private readonly LinearGroup? _dense;
    private readonly Activation _activation;
    private readonly Norm? _norm;
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    internal ScoreHead(IBackend backend, Pooling pooling, Linear? dense, Activation activation, Norm? norm, Parameter weight, Parameter? bias)
    {
        _backend = backend;
        _dense = dense is null ? null : new LinearGroup(backend, dense);
        _activation = activation;
        _norm = norm;
        _weight = weight;
        _bias = bias;
        Pooling = pooling;
        Parameters = [.. ((Parameter?[])[dense?.Weight, dense?.Bias, norm?.Weight, norm?.Bias, weight, bias]).OfType<Parameter>()];
    }

    /// <summary>Which hidden state is scored: the last token of decoders, the first of encoders.</summary>
    public Pooling Pooling { get; }

    /// <summary>Its weights, by the names of a checkpoint: <c>score.weight</c>, <c>classifier.bias</c>, …</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Names of weights that the checkpoint did not have and that were drawn at random.</summary>
    public IReadOnlyList<string> Fresh { get; internal set; } = [];

    /// <summary>Scores [B, 1] F32 of <paramref name="pooled"/> [B, H] F32, in <paramref name="arena"/>. <paramref name="seed"/> picks LoRA's dropout; 0 for none.</summary>
    internal Tensor Forward(Tensor pooled, ulong seed, Arena arena, out Saved saved)
    {
        Tensor hidden = pooled, sum = default;
        LinearGroup.Saved denseSaved = default;
        Norm.Saved normSaved = default;
        if (_dense is not null)
        {
            sum = _dense.Forward(pooled, seed, arena, out denseSaved)[0];
            hidden = arena.Allocate(sum.Shape);
            _backend.ActivationForward(sum, _activation, hidden);
            if (_norm is not null)
            {
                Tensor normed = arena.Allocate(sum.Shape);
                normSaved = _norm.Forward(hidden, residual: default, sum: default, normed, arena);
                hidden = normed;
            }
        }

        Tensor scores = arena.Allocate(new Shape(pooled.Shape[0], 1));
        _backend.MatMul(hidden, _weight.Value, scores, transB: true, bias: _bias?.Value ?? default);
        saved = new Saved(hidden, sum, denseSaved, normSaved);
        return scores;
    }

    /// <summary>Adds the gradients of what is trained and writes <paramref name="dPooled"/> [B, H] F32, from <paramref name="dScores"/> [B, 1].</summary>
    internal void Backward(Tensor dScores, Saved saved, Tensor dPooled, Arena scratch)
    {
        ArenaMark mark = scratch.Mark();
        if (_weight.IsTrained) _backend.MatMul(dScores, saved.Hidden, _weight.Gradient, transA: true, accumulate: true);
        // The bias shifts all scores alike, which no loss over the scores of one query sees: its gradient is 0, where a sum would give rounding for AdamW to follow.
        _backend.MatMul(dScores, _weight.Value, dPooled);
        if (_dense is not null)
        {
            Tensor d = scratch.Allocate(dPooled.Shape);
            _backend.Copy(dPooled, d);
            _norm?.Backward(d, saved.Norm, d, accumulate: false);
            _backend.ActivationBackward(d, saved.Sum, _activation, d);
            _dense.Backward([d], saved.Dense, dPooled, accumulate: false);
        }

        scratch.Release(mark);
    }

    /// <summary>What backward needs: the scored state [B, H] F32, and what the dense map gave.</summary>
    internal readonly record struct Saved(Tensor Hidden, Tensor Sum, LinearGroup.Saved Dense, Norm.Saved Norm);
}
