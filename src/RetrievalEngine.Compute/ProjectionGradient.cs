namespace RetrievalEngine.Compute;

/// <summary>Where the gradients of a <see cref="Projection"/> are added; each is none where the parameter is frozen.</summary>
/// <param name="W">[N, K] F32.</param>
/// <param name="Bias">[N] F32.</param>
/// <param name="A">[R, K] F32; with <paramref name="B"/> or not at all.</param>
/// <param name="B">[N, R] F32.</param>
public readonly record struct ProjectionGradient(Tensor W = default, Tensor Bias = default, Tensor A = default, Tensor B = default);
