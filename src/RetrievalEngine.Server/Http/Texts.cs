using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Server.Http;

/// <summary>What the routes that take texts have in common.</summary>
/// <param name="models">What is served.</param>
/// <param name="embedder">Makes the vectors.</param>
/// <param name="options">How much is taken on.</param>
internal sealed class Texts(ServedModels models, Embedder embedder, ServerOptions options)
{
    /// <summary>Makes the vectors.</summary>
    public Embedder Embedder => embedder;

    /// <summary>What requests may call the model; the first is the name in answers.</summary>
    public IReadOnlyList<string> Names => models.Names;

    /// <summary>The texts in the field <paramref name="name"/>.</summary>
    public TextInput Read(JsonFields body, string name) => TextInput.Read(body, name, options.MaxClientBatchSize);

    /// <summary>The strings of the field <paramref name="name"/>, at most <paramref name="most"/>.</summary>
    public static string[] ReadAll(JsonFields body, string name, int most)
    {
        if (body.TryGet(name, out JsonElement value) && value.ValueKind == JsonValueKind.Array) TextInput.RequireAtMost(value.GetArrayLength(), most, name);
        return body.TextsOrNull(name) ?? throw body.Error(name, "is missing");
    }

    /// <summary>Writes a vector as an array of numbers, the value of the property <paramref name="name"/> where there is one.</summary>
    public static void WriteVector(Utf8JsonWriter writer, float[] vector, string? name = null)
    {
        if (name is not null) writer.WritePropertyName(name);
        writer.WriteStartArray();
        foreach (float value in vector) writer.WriteNumberValue(value);
        writer.WriteEndArray();
    }

    /// <summary>Whether what is too long is cut.</summary>
    public bool Truncates(JsonFields body, bool otherwise) => body.Flag("truncate", otherwise);

    /// <summary>The same where the client does not say.</summary>
    public bool Truncates(JsonFields body) => Truncates(body, options.AutoTruncate);

    /// <summary>What the texts are: the field <paramref name="name"/> in the words of several peers.</summary>
    public TextRole Role(JsonFields body, string name) => Embedder.ParseRole(body.TextOrNull(name), options.DefaultRole)
        ?? throw RequestException.Invalid($"\"{name}\": \"{body.TextOrNull(name)}\" is not known; it may be \"query\", \"passage\" (or \"document\") or \"plain\"");

    /// <summary>The form of the vectors: the contract's, but for the fields <c>dimensions</c> and, where the route has it, <c>normalize</c>.</summary>
    public VectorForm Form(JsonFields body, bool hasNormalize)
    {
        VectorForm form = embedder.Form;
        int dimensions = body.IntOrNull("dimensions", 1, EmbeddingManifest.MaxDimensions) ?? form.Dimensions;
        bool normalize = hasNormalize ? body.Flag("normalize", form.Normalize) : form.Normalize;
        return new VectorForm(dimensions, normalize);
    }

    /// <summary>Refuses a model that is not one of <paramref name="names"/>.</summary>
    public static void CheckModel(JsonFields body, IReadOnlyList<string> names)
    {
        if (body.TextOrNull("model") is { Length: > 0 } model && !names.Contains(model))
            throw RequestException.NotFound($"no model \"{model}\" is served here; there is \"{string.Join("\", \"", names)}\" (--served-model-name)");
    }
}
