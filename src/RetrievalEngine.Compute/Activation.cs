namespace RetrievalEngine.Compute;

/// <summary>Element-wise non-linearities.</summary>
public enum Activation
{
    /// <summary>x.</summary>
    None,

    /// <summary>x · σ(x).</summary>
    Silu,

    /// <summary>x · Φ(x) with the error function (BERT's <c>gelu</c>).</summary>
    GeluErf,

    /// <summary>x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))) (<c>gelu_new</c>, <c>gelu_pytorch_tanh</c>).</summary>
    GeluTanh,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>tanh x (BERT's pooler).</summary>
    Tanh,
}
