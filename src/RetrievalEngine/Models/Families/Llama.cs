namespace RetrievalEngine.Models.Families;

/// <summary>Llama 2 and 3 and Mistral (a sliding window).</summary>
internal static class Llama
{
    /// <summary>Assembles the network.</summary>
    public static Transformer Build(ModelBuilder builder) => new Decoder().Build(builder);
}
