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

    /// <summary>The parameters that change: the adapters' (and a head's), or all.</summary>
    public required IReadOnlyList<Parameter> Trained { get; init; }

    /// <summary>What the loss is, and how texts become tokens.</summary>
    public required ITrainingTask Task { get; init; }

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
