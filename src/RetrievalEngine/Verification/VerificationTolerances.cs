using RetrievalEngine.Compute;

namespace RetrievalEngine.Verification;

/// <summary>How near to the reference results must be: relative errors of losses, relative L2 distances of the rest.</summary>
public sealed record VerificationTolerances
{
    /// <summary>For float32 arithmetic.</summary>
    public static VerificationTolerances Float32 { get; } = new();

    /// <summary>Hidden states and pooled vectors, each sequence by itself.</summary>
    public double Hidden { get; init; } = 2e-5;

    /// <summary>Losses.</summary>
    public double Loss { get; init; } = 1e-4;

    /// <summary>The matrix of scores.</summary>
    public double Scores { get; init; } = 1e-4;

    /// <summary>Each gradient tensor.</summary>
    public double Gradients { get; init; } = 1e-4;

    /// <summary>Gradients of T5, whose unscaled logits let the reference's own rounding grow.</summary>
    public double T5Gradients { get; init; } = 5e-4;

    /// <summary>Gradients that are zero in exact arithmetic, as a share of the largest gradient.</summary>
    public double ZeroGradients { get; init; } = 1e-6;

    /// <summary>Weights after some steps, as a share of the distance that the reference moved.</summary>
    public double Steps { get; init; } = 0.02;

    /// <summary>
    /// For a GPU. In F32 ten times the CPU's: tensor cores add in another order and do not round to nearest. In 16 bits every activation is rounded (to 2⁻⁹
    /// or 2⁻¹²), and AdamW's first steps, which take a gradient's sign more than its size, go astray where a gradient is smaller than its error.
    /// </summary>
    public static VerificationTolerances Gpu(DType activations) => activations == DType.F32
        ? new() { Hidden = 2e-4, Loss = 1e-3, Scores = 1e-3, Gradients = 1e-3, T5Gradients = 5e-3, ZeroGradients = 1e-5, Steps = 0.2 }
        : new() { Hidden = 2e-2, Loss = 1e-2, Scores = 3e-2, Gradients = 3e-2, T5Gradients = 3e-2, ZeroGradients = 1e-3, Steps = 0.5 };
}
