namespace RetrievalEngine.Compute;

/// <summary>Which keys a query sees and how logits are formed.</summary>
/// <param name="Scale">Factor on q·k, usually 1/√head_dim.</param>
/// <param name="WindowLeft">Keys before the query that it sees; -1 for all. A sliding window of W (Mistral) is W - 1.</param>
/// <param name="WindowRight">Keys after the query that it sees; -1 for all, 0 for causal attention.</param>
/// <param name="SoftCap">Logits become cap · tanh(logit / cap) (Gemma 2); 0 for none.</param>
/// <param name="RelativeMaxDistance">T5's <c>relative_attention_max_distance</c>; read only when a relative bias is given. The bias is that of the bidirectional encoder.</param>
public readonly record struct AttentionOptions(float Scale, int WindowLeft = -1, int WindowRight = -1, float SoftCap = 0, int RelativeMaxDistance = 128)
{
    /// <summary>Whether no query sees a later key.</summary>
    public bool IsCausal => WindowRight == 0;
}
