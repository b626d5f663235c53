namespace RetrievalEngine.Models;

/// <summary>A linear map of the network, perhaps with a LoRA adapter.</summary>
public sealed class Linear
{
    /// <summary>A map called <paramref name="name"/> (<c>layers.0.self_attn.q_proj</c>).</summary>
    public Linear(string name, Parameter weight, Parameter? bias)
    {
        Name = name;
        Weight = weight;
        Bias = bias;
    }

    /// <summary>The module's name, as PEFT's target modules are matched against.</summary>
    public string Name { get; }

    /// <summary>[out, in].</summary>
    public Parameter Weight { get; }

    /// <summary>[out], or none.</summary>
    public Parameter? Bias { get; }

    /// <summary>The adapter, if any.</summary>
    public LoraAdapter? Lora { get; internal set; }

    /// <summary>Output width.</summary>
    public long Outputs => Weight.Value.Shape[0];

    /// <summary>Input width.</summary>
    public long Inputs => Weight.Value.Shape[1];

    /// <summary>Outputs <paramref name="first"/> to <paramref name="first"/> + <paramref name="count"/> - 1.</summary>
    internal LinearPart Part(long first, long count) => new(this, first, count);
}
