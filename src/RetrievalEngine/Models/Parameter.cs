using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>One named tensor of weights, and where its gradient is collected while it is trained.</summary>
public sealed class Parameter
{
    /// <summary>A frozen parameter.</summary>
    public Parameter(string name, Tensor value)
    {
        Name = name;
        Value = value;
    }

    /// <summary>Its name in a Hugging Face checkpoint, without the prefix of the backbone: <c>layers.0.self_attn.q_proj.weight</c>.</summary>
    public string Name { get; }

    /// <summary>The weights. Training replaces them by a view into its own F32 block.</summary>
    public Tensor Value { get; internal set; }

    /// <summary>F32 of the same shape while trained; none while frozen.</summary>
    public Tensor Gradient { get; internal set; }

    /// <summary>Whether it is being trained.</summary>
    public bool IsTrained => !Gradient.IsEmpty;

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Value}";
}
