using System;
using System.Collections.Generic;
using RetrievalEngine.Data;
using RetrievalEngine.Models;

namespace RetrievalEngine.Training;

/// <summary>What a <see cref="Trainer"/> works on.</summary>
public sealed record TrainingJob
{
    /// <summary>The examples.</summary>
    public required IReadOnlyList<TrainingRow> Data { get; init; }

    /// <summary>The parameters that change: the adapters', or all.</summary>
    public required IReadOnlyList<Parameter> Trained { get; init; }

    /// <summary>The queries of rows to token ids, as the encoding contract says.</summary>
    public required Func<IReadOnlyList<TrainingRow>, IReadOnlyList<int[]>> TokenizeQueries { get; init; }

    /// <summary>Passages to token ids, as the encoding contract says.</summary>
    public required Func<IReadOnlyList<Document>, IReadOnlyList<int[]>> TokenizePassages { get; init; }

    /// <summary>What the loss is made of.</summary>
    public required ContrastiveOptions Contrastive { get; init; }

    /// <summary>How to train.</summary>
    public required TrainingOptions Options { get; init; }

    /// <summary>Where log, checkpoints and result go.</summary>
    public required string OutputFolder { get; init; }

    /// <summary>What the run is made from (hashes of model, data, contract): a checkpoint of another run is not resumed from.</summary>
    public required IReadOnlyDictionary<string, string> Identity { get; init; }

    /// <summary>Writes the trained weights, ready for use, into a folder.</summary>
    public required Action<string> SaveWeights { get; init; }

    /// <summary>Measures on the dev set with the weights as they are; null without one.</summary>
    public Func<IReadOnlyDictionary<string, double>>? Evaluate { get; init; }
}
