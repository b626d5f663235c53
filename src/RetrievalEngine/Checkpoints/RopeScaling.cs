namespace RetrievalEngine.Checkpoints;

/// <summary><c>rope_scaling</c> of transformers 4, <c>rope_parameters</c> of 5.</summary>
/// <param name="Type">The rule.</param>
/// <param name="Factor">By how much the context grows.</param>
/// <param name="LowFreqFactor">Llama 3: wavelengths above OriginalMaxPositionEmbeddings / this are divided by the factor.</param>
/// <param name="HighFreqFactor">Llama 3: wavelengths below OriginalMaxPositionEmbeddings / this are kept.</param>
/// <param name="OriginalMaxPositionEmbeddings">Llama 3: context before scaling.</param>
public sealed record RopeScaling(
    RopeScalingType Type, double Factor, double LowFreqFactor = 1, double HighFreqFactor = 4, int OriginalMaxPositionEmbeddings = 8192);
