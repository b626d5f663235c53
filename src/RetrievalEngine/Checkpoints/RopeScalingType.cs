namespace RetrievalEngine.Checkpoints;

/// <summary>How rotary frequencies are stretched for sequences longer than the model was first trained on.</summary>
public enum RopeScalingType
{
    /// <summary>Every frequency divided by the factor (Chen et al. 2023, position interpolation).</summary>
    Linear,

    /// <summary>Low frequencies divided by the factor, high ones kept, a ramp between (Llama 3.1).</summary>
    Llama3,
}
