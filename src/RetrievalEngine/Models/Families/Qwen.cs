namespace RetrievalEngine.Models.Families;

/// <summary>Qwen1.5 and Qwen2: Llama with biases on q, k and v. Qwen3: without them, but with norms over the heads of q and k.</summary>
internal static class Qwen
{
    /// <summary>Assembles a Qwen1.5 or Qwen2.</summary>
    public static Transformer Build2(ModelBuilder builder) => new Decoder { HasQkvBias = true }.Build(builder);

    /// <summary>Assembles a Qwen3.</summary>
    public static Transformer Build3(ModelBuilder builder) => new Decoder { HasHeadNorms = true }.Build(builder);
}
