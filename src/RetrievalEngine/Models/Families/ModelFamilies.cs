using System;
using System.Collections.Generic;
using System.IO;

namespace RetrievalEngine.Models.Families;

/// <summary>From <c>model_type</c> to the file that assembles the network.</summary>
public static class ModelFamilies
{
    private static readonly Dictionary<string, Func<ModelBuilder, Transformer>> s_families = new(StringComparer.Ordinal)
    {
        ["llama"] = Llama.Build,
        ["mistral"] = Llama.Build,
        ["qwen2"] = Qwen.Build2,
        ["qwen3"] = Qwen.Build3,
        ["gemma"] = Gemma.Build,
        ["gemma2"] = Gemma.Build2,
        ["phi"] = Phi.Build,
        ["bert"] = Bert.Build,
        ["roberta"] = Bert.Build,
        ["xlm-roberta"] = Bert.Build,
        ["modernbert"] = ModernBert.Build,
        ["t5"] = T5.Build,
    };

    /// <summary>Null where the model in <paramref name="folder"/> is of a known family, else why it cannot be run.</summary>
    public static string? Unsupported(string folder)
    {
        string type = JsonFields.Read(Path.Combine(folder, "config.json")).Text("model_type");
        return s_families.ContainsKey(type) ? null : $"model_type \"{type}\" is not supported yet";
    }

    /// <summary>Assembles the network of <paramref name="modelType"/>.</summary>
    internal static Transformer Build(string modelType, ModelBuilder builder) =>
        s_families.TryGetValue(modelType, out Func<ModelBuilder, Transformer>? build)
            ? build(builder)
            : throw new InputException($"config.json: model_type \"{modelType}\" is not supported; known: {string.Join(", ", s_families.Keys)}");
}
