using System;
using System.Collections.Generic;
using RetrievalEngine.Data;

namespace RetrievalEngine.Training;

/// <summary>What a model is trained for: turns rows and their passages into a loss and its gradients.</summary>
public interface ITrainingTask : IDisposable
{
    /// <summary>What the loss is made of, by the field names of <c>training_run.json</c>: a run with another one is another run.</summary>
    IReadOnlyList<(string Field, string Value)> Identity { get; }

    /// <summary>What the log calls <see cref="StepResult.Measure"/>.</summary>
    string MeasureName { get; }

    /// <summary>Why a run stops whose steps are <see cref="StepResult.IsCollapsed"/>: what the model does, in a sentence's middle.</summary>
    string Collapse { get; }

    /// <summary>Tokenizes a micro-batch; may run beside the step before it. <paramref name="groups"/> holds the passages of each row, a positive first.</summary>
    PreparedBatch Prepare(IReadOnlyList<TrainingRow> rows, IReadOnlyList<IReadOnlyList<Document>> groups);
}
