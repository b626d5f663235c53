using System;
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

    /// <summary>The name in answers.</summary>
    public string Name => models.Names[0];

    /// <summary>The texts in the field <paramref name="name"/>.</summary>
    public TextInput Read(JsonFields body, string name)
    {
        TextInput input = TextInput.Read(body, name);
        return input.Count <= options.MaxClientBatchSize ? input
            : throw RequestException.TooLarge($"{input.Count} inputs are more than the {options.MaxClientBatchSize} that one request may have");
    }

    /// <summary>Whether what is too long is cut.</summary>
    public bool Truncates(JsonFields body, bool otherwise) => body.Flag("truncate", otherwise);

    /// <summary>The same where the client does not say.</summary>
    public bool Truncates(JsonFields body) => Truncates(body, options.AutoTruncate);

    /// <summary>What the texts are: the field <paramref name="name"/> in the words of several peers.</summary>
    public TextRole Role(JsonFields body, string name) => body.TextOrNull(name) switch
    {
        null => options.DefaultRole,
        "query" or "search_query" => TextRole.Query,
        "passage" or "document" or "search_document" => TextRole.Passage,
        "plain" => TextRole.Plain,
        { } other => throw RequestException.Invalid($"\"{name}\": \"{other}\" is not known; it may be \"query\", \"passage\" (or \"document\") or \"plain\""),
    };

    /// <summary>The form of the vectors: the contract's, but for the fields <c>dimensions</c> and, where the route has it, <c>normalize</c>.</summary>
    public VectorForm Form(JsonFields body, bool hasNormalize)
    {
        VectorForm form = embedder.Form;
        int dimensions = body.IntOrNull("dimensions", 1, EmbeddingManifest.MaxDimensions) ?? form.Dimensions;
        bool normalize = hasNormalize ? body.Flag("normalize", form.Normalize) : form.Normalize;
        return new VectorForm(dimensions, normalize);
    }

    /// <summary>Refuses a model that is not served.</summary>
    public void CheckModel(JsonFields body)
    {
        if (body.TextOrNull("model") is not { Length: > 0 } model) return;
        foreach (string name in models.Names)
        {
            if (string.Equals(name, model, StringComparison.Ordinal)) return;
        }

        throw RequestException.NotFound($"no model \"{model}\" is served; there is \"{string.Join("\", \"", models.Names)}\" (--served-model-name)");
    }
}
