using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Training;

/// <summary>
/// One forward and backward pass of InfoNCE (van den Oord et al. 2018) over in-batch and hard negatives: every passage of the batch is a candidate for every query.
/// The texts pass through the model in chunks of a token budget; the loss sees all of them at once, so the chunk size changes memory and speed but not the mathematics.
/// </summary>
public sealed class ContrastiveStep : IDisposable
{
    private readonly IBackend _backend;
    private readonly Transformer _model;
    private readonly ContrastiveOptions _options;
    private readonly Arena _kept, _scratch;

    /// <summary>Steps on <paramref name="model"/>, whose trained parameters' gradients are added to.</summary>
    public ContrastiveStep(IBackend backend, Transformer model, ContrastiveOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _backend = backend;
        _model = model;
        _options = options;
        _kept = new Arena(backend);
        _scratch = new Arena(backend);
    }

    /// <summary>
    /// Adds the gradient of the mean loss, times <paramref name="gradientScale"/>, and returns what happened.
    /// </summary>
    /// <param name="queries">Token ids of each query.</param>
    /// <param name="passages">Token ids of each passage.</param>
    /// <param name="targets">Index of the positive passage of each query.</param>
    /// <param name="excluded">[queries × passages] non-zero where a passage is not a candidate for a query (a known positive beside the target); empty for none.</param>
    /// <param name="seed">Of the dropout masks; 0 for none.</param>
    /// <param name="gradientScale">1 / accumulation steps.</param>
    /// <param name="keepScores">Whether the result carries the score matrix.</param>
    public ContrastiveResult Run(IReadOnlyList<int[]> queries, IReadOnlyList<int[]> passages, ReadOnlySpan<int> targets, ReadOnlySpan<sbyte> excluded, ulong seed,
        float gradientScale = 1, bool keepScores = false)
    {
        ArgumentNullException.ThrowIfNull(queries);
        ArgumentNullException.ThrowIfNull(passages);
        _kept.Reset();
        _scratch.Reset();
        int b = queries.Count, p = passages.Count, h = _model.HiddenSize;
        Tensor embeddings = _kept.Allocate(new Shape(b + p, h)), norms = _kept.Allocate(new Shape(b + p)), gradients = _kept.Allocate(new Shape(b + p, h));
        List<Chunk> chunks = Split([.. queries, .. passages]);
        for (int i = 0; i < chunks.Count; i++)
        {
            Chunk chunk = chunks[i];
            chunk.Activations = _model.ForwardTraining(PackedBatch.Pack(chunk.Sequences), seed == 0 ? 0 : Dropout.Mix(seed + (ulong)i) | 1, _options.GradientCheckpointing, _kept);
            Tensor rows = embeddings.Slice(chunk.First, chunk.Sequences.Count);
            _backend.PoolForward(chunk.Activations.Hidden, chunk.Activations.CuSeqLens, _options.Pooling, rows);
            if (_options.Normalize) _backend.L2NormalizeForward(rows, rows, norms.Slice(chunk.First, chunk.Sequences.Count));
        }

        Tensor q = embeddings.Slice(0, b), d = embeddings.Slice(b, p), scores = _kept.Allocate(new Shape(b, p)), losses = _kept.Allocate(new Shape(b));
        Tensor target = _kept.Allocate(new Shape(b), DType.I32), mask = default;
        _backend.Upload(targets, target);
        if (!excluded.IsEmpty)
        {
            mask = _kept.Allocate(new Shape(b, p), DType.I8);
            _backend.Upload(excluded, mask);
        }

        float inverseTemperature = 1 / _options.Temperature;
        _backend.MatMul(q, d, scores, transB: true, alpha: inverseTemperature);
        float[] keptScores = keepScores ? _backend.ToArray(scores) : [];
        _backend.CrossEntropy(scores, target, mask, gradientScale, losses, scores);
        _backend.MatMul(scores, d, gradients.Slice(0, b), alpha: inverseTemperature);
        _backend.MatMul(scores, q, gradients.Slice(b, p), transA: true, alpha: inverseTemperature);

        for (int i = chunks.Count - 1; i >= 0; i--)
        {
            Chunk chunk = chunks[i];
            ArenaMark mark = _scratch.Mark();
            Tensor dRows = gradients.Slice(chunk.First, chunk.Sequences.Count), hidden = chunk.Activations!.Hidden;
            if (_options.Normalize)
                _backend.L2NormalizeBackward(dRows, embeddings.Slice(chunk.First, chunk.Sequences.Count), norms.Slice(chunk.First, chunk.Sequences.Count), dRows);
            Tensor dHidden = _scratch.Allocate(hidden.Shape, _backend.ActivationDType);
            _backend.PoolBackward(dRows, hidden, chunk.Activations.CuSeqLens, _options.Pooling, dHidden);
            _model.Backward(dHidden, chunk.Activations, _scratch);
            _scratch.Release(mark);
        }

        double loss = 0;
        foreach (float value in _backend.ToArray(losses)) loss += value;
        return new ContrastiveResult((float)(loss / b), MeanCosine(_backend.ToArray(d), p, h), keptScores);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _kept.Dispose();
        _scratch.Dispose();
    }

    /// <summary>Mean cosine over all pairs of distinct rows, from the sum of the unit rows: (‖Σu‖² - n) / (n (n - 1)).</summary>
    private static double MeanCosine(float[] rows, int n, int width)
    {
        if (n < 2) return 0;
        double[] sum = new double[width];
        for (int i = 0; i < n; i++)
        {
            ReadOnlySpan<float> row = rows.AsSpan(i * width, width);
            double square = 0;
            foreach (float x in row) square += (double)x * x;
            double inverse = 1 / Math.Max(Math.Sqrt(square), 1e-12);
            for (int j = 0; j < width; j++) sum[j] += row[j] * inverse;
        }

        double total = 0;
        foreach (double x in sum) total += x * x;
        return (total - n) / ((double)n * (n - 1));
    }

    private List<Chunk> Split(int[][] sequences)
    {
        List<Chunk> chunks = [];
        int tokens = 0;
        for (int i = 0; i < sequences.Length; i++)
        {
            if (chunks.Count == 0 || tokens + sequences[i].Length > _options.BatchTokens)
            {
                chunks.Add(new Chunk(i));
                tokens = 0;
            }

            chunks[^1].Sequences.Add(sequences[i]);
            tokens += sequences[i].Length;
        }

        return chunks;
    }

    private sealed class Chunk(int first)
    {
        public int First => first;

        public List<int[]> Sequences { get; } = [];

        public TransformerActivations? Activations { get; set; }
    }
}
