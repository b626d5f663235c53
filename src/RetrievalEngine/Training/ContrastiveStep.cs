using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;

namespace RetrievalEngine.Training;

/// <summary>
/// One forward and backward pass of InfoNCE (van den Oord et al. 2018) over in-batch and hard negatives: every passage of the batch is a candidate for every query.
/// The texts pass through the model in chunks of a token budget (<see cref="ChunkedPass"/>).
/// </summary>
public sealed class ContrastiveStep : IDisposable
{
    private readonly IBackend _backend;
    private readonly ContrastiveOptions _options;
    private readonly DenseProjection? _projection;
    private readonly ChunkedPass _pass;

    /// <summary>Steps on <paramref name="model"/>, whose trained parameters' gradients are added to.</summary>
    public ContrastiveStep(IBackend backend, Transformer model, ContrastiveOptions options)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        _backend = backend;
        _options = options;
        _projection = model.Projection;
        _pass = new ChunkedPass(backend, model, options.Pooling, options.BatchTokens, options.GradientCheckpointing);
    }

    /// <summary>Adds the gradient of the mean loss, times <paramref name="gradientScale"/>, and returns what happened.</summary>
    /// <param name="queries">Token ids of each query.</param>
    /// <param name="passages">Token ids of each passage.</param>
    /// <param name="targets">Index of the positive passage of each query.</param>
    /// <param name="excluded">[queries × passages] non-zero where a passage is not a candidate for a query (a known positive beside the target); empty for none.</param>
    /// <param name="seed">Of the dropout masks; 0 for none.</param>
    /// <param name="gradientScale">1 / accumulation steps, times the scale of the loss in float16.</param>
    /// <param name="keepScores">Whether the result carries the score matrix.</param>
    public ContrastiveResult Run(IReadOnlyList<int[]> queries, IReadOnlyList<int[]> passages, ReadOnlySpan<int> targets, ReadOnlySpan<sbyte> excluded, ulong seed,
        float gradientScale = 1, bool keepScores = false) =>
        Begin(queries, passages, targets, excluded, seed, gradientScale, keepScores).Await(_backend);

    /// <summary>The same without waiting for the device: its parameters are those of <see cref="Run"/>.</summary>
    public Pending<ContrastiveResult> Begin(IReadOnlyList<int[]> queries, IReadOnlyList<int[]> passages, ReadOnlySpan<int> targets, ReadOnlySpan<sbyte> excluded, ulong seed,
        float gradientScale = 1, bool keepScores = false)
    {
        ArgumentNullException.ThrowIfNull(queries);
        ArgumentNullException.ThrowIfNull(passages);
        int b = queries.Count, p = passages.Count;
        byte[] marks = [.. MemoryMarshal.AsBytes(targets), .. MemoryMarshal.AsBytes(excluded)];
        Tensor pooled = _pass.Forward([.. queries, .. passages], types: null, seed, marks, out Tensor onDevice), embeddings = pooled;
        Tensor target = onDevice.View(0, new Shape(b), DType.I32);
        Tensor mask = excluded.IsEmpty ? default : onDevice.View(b * sizeof(int), new Shape(b, p), DType.I8);
        Arena kept = _pass.Kept;
        DenseProjection.Saved[] saved = [];
        if (_projection is not null) embeddings = _projection.Forward(pooled, kept, out saved);
        Tensor norms = kept.Allocate(new Shape(b + p)), gradients = kept.Allocate(embeddings.Shape);
        if (_options.Normalize) _backend.L2NormalizeForward(embeddings, embeddings, norms);
        Tensor q = embeddings.Slice(0, b), d = embeddings.Slice(b, p), scores = kept.Allocate(new Shape(b, p)), report = kept.Allocate(new Shape(b + d.Count + 1));
        _backend.Copy(d.Reshape(d.Count), report.Slice(b, d.Count));
        float inverseTemperature = 1 / _options.Temperature;
        _backend.MatMul(q, d, scores, transB: true, alpha: inverseTemperature);
        float[] keptScores = keepScores ? _backend.ToArray(scores) : [];
        _backend.CrossEntropy(scores, target, mask, gradientScale, report.Slice(0, b), scores);
        _backend.MatMul(scores, d, gradients.Slice(0, b), alpha: inverseTemperature);
        _backend.MatMul(scores, q, gradients.Slice(b, p), transA: true, alpha: inverseTemperature);
        if (_options.Normalize) _backend.L2NormalizeBackward(gradients, embeddings, norms, gradients);
        Tensor dPooled = gradients;
        if (_projection is not null)
        {
            dPooled = kept.Allocate(pooled.Shape);
            _projection.Backward(gradients, saved, dPooled, _pass.Scratch);
        }

        _pass.Backward(dPooled);
        int width = (int)embeddings.Shape[1];
        return new Pending<ContrastiveResult>(report, values =>
        {
            double loss = 0;
            for (int i = 0; i < b; i++) loss += values[i];
            return new ContrastiveResult((float)(loss / b), MeanCosine(values.AsSpan(b), p, width), keptScores);
        });
    }

    /// <inheritdoc/>
    public void Dispose() => _pass.Dispose();

    /// <summary>Mean cosine over all pairs of distinct rows, from the sum of the unit rows: (‖Σu‖² - n) / (n (n - 1)).</summary>
    private static double MeanCosine(ReadOnlySpan<float> rows, int n, int width)
    {
        if (n < 2) return 0;
        double[] sum = new double[width];
        for (int i = 0; i < n; i++)
        {
            ReadOnlySpan<float> row = rows.Slice(i * width, width);
            double square = 0;
            foreach (float x in row) square += (double)x * x;
            double inverse = 1 / Math.Max(Math.Sqrt(square), 1e-12);
            for (int j = 0; j < width; j++) sum[j] += row[j] * inverse;
        }

        double total = 0;
        foreach (double x in sum) total += x * x;
        return (total - n) / ((double)n * (n - 1));
    }
}
