namespace RetrievalEngine.Training;

/// <summary>How a model is trained. Defaults are Tevatron's where it has the option.</summary>
public sealed record TrainingOptions
{
    /// <summary>Queries of one micro-batch; their passages are each other's in-batch negatives.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Micro-batches whose gradients are averaged into one step. They do not share negatives.</summary>
    public int AccumulationSteps { get; init; } = 1;

    /// <summary>Passages of each query: one positive and the rest hard negatives.</summary>
    public int TrainGroupSize { get; init; } = 8;

    /// <summary>Passes over the training data.</summary>
    public double Epochs { get; init; } = 1;

    /// <summary>Steps in all; null to follow <see cref="Epochs"/>.</summary>
    public int? MaxSteps { get; init; }

    /// <summary>Peak learning rate.</summary>
    public float LearningRate { get; init; } = 1e-4f;

    /// <summary>What follows the warm-up.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>Steps of linear warm-up; null to follow <see cref="WarmupRatio"/>.</summary>
    public int? WarmupSteps { get; init; }

    /// <summary>Share of all steps that is warm-up, at least one step where it is above 0.</summary>
    public double WarmupRatio { get; init; } = 0.1;

    /// <summary>AdamW's decoupled weight decay.</summary>
    public float WeightDecay { get; init; }

    /// <summary>Whether norms and biases are spared from weight decay.</summary>
    public bool SpareNormsAndBiases { get; init; }

    /// <summary>AdamW's decay of the first moment.</summary>
    public float Beta1 { get; init; } = 0.9f;

    /// <summary>AdamW's decay of the second moment.</summary>
    public float Beta2 { get; init; } = 0.999f;

    /// <summary>AdamW's ε.</summary>
    public float Epsilon { get; init; } = 1e-8f;

    /// <summary>Gradients are scaled down to this norm; 0 for no clipping.</summary>
    public float MaxGradNorm { get; init; } = 1;

    /// <summary>Decides the order of the data, the choice of passages, LoRA's start and dropout.</summary>
    public ulong Seed { get; init; } = 42;

    /// <summary>File order, first positive, first negatives where false.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Whether a passage of the batch that is known to be relevant to a query (same id as one of its positives) is no negative of it.</summary>
    public bool MaskKnownPositives { get; init; }

    /// <summary>Texts pass through the model in chunks of this many tokens.</summary>
    public int BatchTokens { get; init; } = 4096;

    /// <summary>Trade time for memory: see <see cref="ContrastiveOptions"/>.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>Steps between two checkpoints; 0 for one at the end only.</summary>
    public int SaveSteps { get; init; } = 100;

    /// <summary>How many checkpoints are kept.</summary>
    public int SaveTotalLimit { get; init; } = 2;

    /// <summary>Steps between two evaluations on the dev set, if there is one.</summary>
    public int EvalSteps { get; init; } = 100;

    /// <summary>Steps between two lines of the log.</summary>
    public int LoggingSteps { get; init; } = 1;
}
