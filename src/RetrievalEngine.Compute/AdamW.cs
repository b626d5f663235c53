namespace RetrievalEngine.Compute;

/// <summary>Constants of one AdamW step (Loshchilov, Hutter 2019; as torch.optim.AdamW).</summary>
/// <param name="LearningRate">Of this step, schedule applied.</param>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to √v̂.</param>
/// <param name="WeightDecay">Decoupled: weights shrink by 1 - LearningRate · WeightDecay first.</param>
/// <param name="Step">1 for the first step: bias correction is by 1 - βᵗ.</param>
/// <param name="MaxGradNorm">Gradients are scaled by min(1, MaxGradNorm / (norm + 1e-6)) with the norm from the device; 0 for no clipping.</param>
public readonly record struct AdamW(
    float LearningRate, float Beta1 = 0.9f, float Beta2 = 0.999f, float Epsilon = 1e-8f, float WeightDecay = 0.01f, int Step = 1, float MaxGradNorm = 0);
