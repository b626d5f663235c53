namespace RetrievalEngine.Training;

/// <summary>What the learning rate does after the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Falls linearly to 0.</summary>
    Linear,

    /// <summary>Falls to 0 along half a cosine.</summary>
    Cosine,

    /// <summary>Stays.</summary>
    Constant,
}
