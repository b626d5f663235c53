using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Training;

/// <summary>Training of a reranker: <see cref="RerankingStep"/> on the pairs of each query with its passages.</summary>
public sealed class RerankingTask : ITrainingTask
{
    private const double CollapsedDeviation = 1e-6;
    private readonly RerankingStep _step;
    private readonly int _batchTokens;
    private readonly Func<TrainingRow, IReadOnlyList<Document>, IReadOnlyList<TokenPair>> _tokenize;

    /// <summary>Trains the reranker <paramref name="model"/>; <paramref name="tokenize"/> makes the pairs of a row with its passages.</summary>
    public RerankingTask(IBackend backend, Transformer model, int batchTokens, bool gradientCheckpointing,
        Func<TrainingRow, IReadOnlyList<Document>, IReadOnlyList<TokenPair>> tokenize)
    {
        _step = new RerankingStep(backend, model, batchTokens, gradientCheckpointing);
        _batchTokens = batchTokens;
        _tokenize = tokenize;
    }

    /// <inheritdoc/>
    public IReadOnlyList<(string Field, string Value)> Identity =>
    [
        ("loss", "cross-entropy of groups"),
        // Chunks decide the order of sums, so other chunks would give other bits.
        ("batch_tokens", _batchTokens.ToString(CultureInfo.InvariantCulture)),
    ];

    /// <inheritdoc/>
    public string MeasureName => "score_deviation";

    /// <inheritdoc/>
    public string Collapse => "the model gave all pairs one score; lower --learning-rate or check template and lengths";

    /// <inheritdoc/>
    public PreparedBatch Prepare(IReadOnlyList<TrainingRow> rows, IReadOnlyList<IReadOnlyList<Document>> groups)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(groups);
        TokenPair[] pairs = [.. rows.SelectMany((row, i) => _tokenize(row, groups[i]))];
        int[] sizes = [.. groups.Select(group => group.Count)];
        return new PreparedBatch(pairs.Sum(pair => (long)pair.Ids.Length), 0, (seed, scale) =>
            _step.Begin(pairs, sizes, seed, scale).Select(result =>
            {
                double mean = result.Scores.Average(), deviation = Math.Sqrt(result.Scores.Average(score => (score - mean) * (score - mean)));
                return new StepResult(result.Loss, deviation, deviation <= CollapsedDeviation * Math.Max(1e-3, Math.Abs(mean)));
            }));
    }

    /// <inheritdoc/>
    public void Dispose() => _step.Dispose();
}
