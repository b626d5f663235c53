namespace RetrievalEngine.Checkpoints;

/// <summary>The stored adapter of one linear map: y = W·x + scale · B·A·x.</summary>
/// <param name="Name">Canonical name of the linear map: <c>layers.0.self_attn.q_proj</c>.</param>
/// <param name="Scale">α / R, or α / √R.</param>
/// <param name="A">[R, in].</param>
/// <param name="B">[out, R].</param>
public sealed record AdapterModule(string Name, float Scale, StoredTensor A, StoredTensor B)
{
    /// <summary>Rank R.</summary>
    public int Rank => (int)A.Shape[0];

    /// <summary>Width of the input.</summary>
    public int Inputs => (int)A.Shape[1];

    /// <summary>Width of the output.</summary>
    public int Outputs => (int)B.Shape[0];
}
