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
    /// <param name="gradientScale">1 / accumulation steps, times the scale of the loss in float16.</param>
    public (float Loss, float[] Scores) Run(IReadOnlyList<TokenPair> pairs, IReadOnlyList<int> groupSizes, ulong seed, float gradientScale = 1) =>
        Begin(pairs, groupSizes, seed, gradientScale).Await(_backend);

    /// <summary>The same without waiting for the device: its parameters are those of <see cref="Run"/>.</summary>
    public Pending<(float Loss, float[] Scores)> Begin(IReadOnlyList<TokenPair> pairs, IReadOnlyList<int> groupSizes, ulong seed, float gradientScale = 1)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        ArgumentNullException.ThrowIfNull(groupSizes);
        if (groupSizes.Sum() != pairs.Count) throw new ArgumentException("the groups do not cover the pairs");
        int count = pairs.Count, groups = groupSizes.Count;
        // Of every group the first pair is the target.
        byte[] zeros = new byte[groups * sizeof(int)];
        Tensor pooled = _pass.Forward([.. pairs.Select(p => p.Ids)], [.. pairs.Select(p => p.TypeIds)], seed, zeros, out Tensor onDevice);
        Tensor targets = onDevice.View(0, new Shape(groups), DType.I32);
        Arena kept = _pass.Kept;
        Tensor scores = _head.Forward(pooled, seed == 0 ? 0 : Dropout.Mix(seed) | 1, kept, out ScoreHead.Saved saved);
        Tensor dScores = kept.Allocate(scores.Shape), dPooled = kept.Allocate(pooled.Shape), report = kept.Allocate(new Shape(count + groups + 1));
        _backend.Copy(scores.Reshape(count), report.Slice(0, count));
        CrossEntropy(scores.Reshape(count), targets, groupSizes, gradientScale, report.Slice(count, groups), dScores.Reshape(count));
        _head.Backward(dScores, saved, dPooled, _pass.Scratch);
        _pass.Backward(dPooled);
        return new Pending<(float Loss, float[] Scores)>(report, values =>
            ((float)values[count..(count + groups)].Average(loss => (double)loss), values[..count]));
    }

    /// <inheritdoc/>
    public void Dispose() => _pass.Dispose();

    /// <summary>The loss of each group and the gradient of the mean loss. Neighbours of one size are one matrix.</summary>
    private void CrossEntropy(Tensor scores, Tensor targets, IReadOnlyList<int> groupSizes, float gradientScale, Tensor losses, Tensor dScores)
    {
        int groups = groupSizes.Count;
        for (int first = 0, pair = 0, end; first < groups; first = end)
        {
            int size = groupSizes[first];
            for (end = first + 1; end < groups && groupSizes[end] == size;) end++;
            int rows = end - first;
            Tensor Matrix(Tensor values) => values.Slice(pair, rows * size).Reshape(rows, size);
            _backend.CrossEntropy(Matrix(scores), targets.Slice(first, rows), default, gradientScale * rows / groups, losses.Slice(first, rows), Matrix(dScores));
            pair += rows * size;
        }
    }
}
