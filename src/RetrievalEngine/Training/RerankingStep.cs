using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Training;

/// <summary>
/// One forward and backward pass of a reranker (RankLLaMA, Ma et al. 2023): every passage of a group is scored together with the group's query, and the loss is the
/// cross-entropy of the group's scores with the first as the target. The pairs pass through the model in chunks of a token budget (<see cref="ChunkedPass"/>).
/// </summary>
public sealed class RerankingStep : IDisposable
{
    private readonly IBackend _backend;
    private readonly ScoreHead _head;
    private readonly ChunkedPass _pass;

    /// <summary>Steps on the reranker <paramref name="model"/>, whose trained parameters' gradients are added to.</summary>
    public RerankingStep(IBackend backend, Transformer model, int batchTokens = 4096, bool gradientCheckpointing = false)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(model);
        _backend = backend;
        _head = model.Head ?? throw new ArgumentException("the model has no score head");
        _pass = new ChunkedPass(backend, model, _head.Pooling, batchTokens, gradientCheckpointing);
    }

    /// <summary>
    /// Adds the gradient of the mean loss over the groups, times <paramref name="gradientScale"/>, and returns loss and scores [pairs].
    /// </summary>
    /// <param name="pairs">All pairs, group after group, in each the positive first.</param>
    /// <param name="groupSizes">How many pairs each group has.</param>
    /// <param name="seed">Of the dropout masks; 0 for none.</param>
    /// <param name="gradientScale">1 / accumulation steps.</param>
    public (float Loss, float[] Scores) Run(IReadOnlyList<TokenPair> pairs, IReadOnlyList<int> groupSizes, ulong seed, float gradientScale = 1)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        ArgumentNullException.ThrowIfNull(groupSizes);
        if (groupSizes.Sum() != pairs.Count) throw new ArgumentException("the groups do not cover the pairs");
        Tensor pooled = _pass.Forward([.. pairs.Select(p => p.Ids)], [.. pairs.Select(p => p.TypeIds)], seed);
        Arena kept = _pass.Kept;
        Tensor scores = _head.Forward(pooled, seed == 0 ? 0 : Dropout.Mix(seed) | 1, kept, out ScoreHead.Saved saved);
        float[] values = _backend.ToArray(scores);
        (float loss, float[] gradients) = CrossEntropy(values, groupSizes, gradientScale, kept);
        Tensor dScores = kept.Allocate(scores.Shape), dPooled = kept.Allocate(pooled.Shape);
        _backend.Upload<float>(gradients, dScores);
        _head.Backward(dScores, saved, dPooled, _pass.Scratch);
        _pass.Backward(dPooled);
        return (loss, values);
    }

    /// <inheritdoc/>
    public void Dispose() => _pass.Dispose();

    /// <summary>Mean loss over the groups and the gradient of each score. Groups of different sizes are filled up with what is no candidate.</summary>
    private (float Loss, float[] Gradients) CrossEntropy(float[] scores, IReadOnlyList<int> groupSizes, float gradientScale, Arena arena)
    {
        int groups = groupSizes.Count, width = groupSizes.Max();
        float[] filled = new float[groups * width];
        sbyte[] excluded = new sbyte[filled.Length];
        for (int g = 0, pair = 0; g < groups; pair += groupSizes[g++])
        {
            scores.AsSpan(pair, groupSizes[g]).CopyTo(filled.AsSpan(g * width));
            excluded.AsSpan(g * width, width)[groupSizes[g]..].Fill(1);
        }

        Tensor matrix = arena.Allocate(new Shape(groups, width)), mask = arena.Allocate(matrix.Shape, DType.I8);
        Tensor targets = arena.Allocate(new Shape(groups), DType.I32), losses = arena.Allocate(new Shape(groups));
        _backend.Upload<float>(filled, matrix);
        _backend.Upload<sbyte>(excluded, mask);
        _backend.Upload<int>(new int[groups], targets);
        _backend.CrossEntropy(matrix, targets, mask, gradientScale, losses, matrix);
        _backend.ToArray(matrix).CopyTo(filled, 0);
        float[] gradients = new float[scores.Length];
        for (int g = 0, pair = 0; g < groups; pair += groupSizes[g++]) filled.AsSpan(g * width, groupSizes[g]).CopyTo(gradients.AsSpan(pair));
        return ((float)_backend.ToArray(losses).Average(loss => (double)loss), gradients);
    }
}
