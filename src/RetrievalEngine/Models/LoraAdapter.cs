namespace RetrievalEngine.Models;

/// <summary>The low-rank update of one linear map: W + Scale · B·A (Hu et al. 2021).</summary>
/// <param name="A">[rank, in].</param>
/// <param name="B">[out, rank].</param>
/// <param name="Scale">alpha / rank, or alpha / √rank when rank-stabilised.</param>
/// <param name="DropoutProbability">Dropout on the adapter's input while training.</param>
public sealed record LoraAdapter(Parameter A, Parameter B, float Scale, float DropoutProbability);
