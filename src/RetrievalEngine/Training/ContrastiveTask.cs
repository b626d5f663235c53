using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Models;

namespace RetrievalEngine.Training;

/// <summary>Training of a retriever: <see cref="ContrastiveStep"/> on queries and passages.</summary>
public sealed class ContrastiveTask : ITrainingTask
{
    private const double CollapsedCosine = 0.99999;
    private readonly ContrastiveStep _step;
    private readonly ContrastiveOptions _options;
    private readonly Func<IReadOnlyList<TrainingRow>, IReadOnlyList<int[]>> _tokenizeQueries;
    private readonly Func<IReadOnlyList<Document>, IReadOnlyList<int[]>> _tokenizePassages;
    private readonly bool _maskKnownPositives;

    /// <summary>Trains <paramref name="model"/>; texts become tokens as the encoding contract says, by the two functions.</summary>
    public ContrastiveTask(IBackend backend, Transformer model, ContrastiveOptions options, bool maskKnownPositives,
        Func<IReadOnlyList<TrainingRow>, IReadOnlyList<int[]>> tokenizeQueries, Func<IReadOnlyList<Document>, IReadOnlyList<int[]>> tokenizePassages)
    {
        _step = new ContrastiveStep(backend, model, options);
        _options = options;
        _maskKnownPositives = maskKnownPositives;
        _tokenizeQueries = tokenizeQueries;
        _tokenizePassages = tokenizePassages;
    }

    /// <inheritdoc/>
    public IReadOnlyList<(string Field, string Value)> Identity =>
    [
        ("loss", FormattableString.Invariant($"{_options.Pooling}, normalize {_options.Normalize}, temperature {_options.Temperature}")),
        // Chunks decide the order of sums, so other chunks would give other bits.
        ("batch_tokens", _options.BatchTokens.ToString(CultureInfo.InvariantCulture)),
    ];

    /// <inheritdoc/>
    public string MeasureName => "mean_cosine";

    /// <inheritdoc/>
    public string Collapse => "the model maps all passages to one point; lower --learning-rate or check pooling and EOS";

    /// <inheritdoc/>
    public PreparedBatch Prepare(IReadOnlyList<TrainingRow> rows, IReadOnlyList<IReadOnlyList<Document>> groups)
    {
        ArgumentNullException.ThrowIfNull(groups);
        List<Document> documents = [];
        List<int> targets = [];
        foreach (IReadOnlyList<Document> group in groups)
        {
            targets.Add(documents.Count);
            documents.AddRange(group);
        }

        IReadOnlyList<int[]> queries = _tokenizeQueries(rows), passages = _tokenizePassages(documents);
        sbyte[] excluded = [];
        int masked = 0;
        if (_maskKnownPositives) masked = Mask(rows, documents, targets, excluded = new sbyte[queries.Count * passages.Count]);
        return new PreparedBatch(queries.Concat(passages).Sum(text => (long)text.Length), masked, (seed, scale) =>
            _step.Begin(queries, passages, [.. targets], excluded, seed, scale)
                .Select(result => new StepResult(result.Loss, result.MeanCosine, result.MeanCosine > CollapsedCosine)));
    }

    /// <inheritdoc/>
    public void Dispose() => _step.Dispose();

    /// <summary>Marks the passages that are known to be relevant to a query beside its target; returns how many.</summary>
    private static int Mask(IReadOnlyList<TrainingRow> rows, List<Document> documents, List<int> targets, sbyte[] excluded)
    {
        int masked = 0;
        for (int q = 0; q < rows.Count; q++)
        {
            HashSet<string> relevant = [.. rows[q].Positives.Select(positive => positive.Id)];
            for (int p = 0; p < documents.Count; p++)
            {
                if (p == targets[q] || !relevant.Contains(documents[p].Id)) continue;
                excluded[(q * documents.Count) + p] = 1;
                masked++;
            }
        }

        return masked;
    }
}
