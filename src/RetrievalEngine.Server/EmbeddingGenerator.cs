using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Extensions.AI;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Server;

/// <summary>
/// A <see cref="TextEncoder"/> as Microsoft.Extensions.AI knows embedding models, for programs that embed in process. Concurrent calls share batches as a server's
/// requests do. <c>Dimensions</c> of the options cuts and scales again; <c>AdditionalProperties["prompt_name"]</c> is <c>query</c> or <c>passage</c>; a text that is too long is
/// cut. Disposing it leaves the encoder to its owner.
/// </summary>
public sealed class EmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly SemaphoreSlim _device = new(1);
    private readonly Embedder _embedder;
    private readonly EmbeddingGeneratorMetadata _metadata;
    private readonly TextRole _defaultRole;
    private bool _isDisposed;

    /// <summary>Embeds with <paramref name="encoder"/>, called <paramref name="modelId"/>.</summary>
    /// <param name="encoder">Not to be used by anybody else meanwhile, nor its backend.</param>
    /// <param name="modelId">The name in metadata and results.</param>
    /// <param name="defaultRole">How a text is treated where the options do not say.</param>
    public EmbeddingGenerator(TextEncoder encoder, string modelId, TextRole defaultRole = TextRole.Plain)
    {
        ArgumentNullException.ThrowIfNull(encoder);
        _embedder = new Embedder(encoder, long.MaxValue, _device);
        _metadata = new EmbeddingGeneratorMetadata("retrieval-engine", null, modelId, encoder.Contract.Dimensions);
        _defaultRole = defaultRole;
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">An option or a text cannot be taken.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (options?.ModelId is { } model && model != _metadata.DefaultModelId) throw new InputException($"no model \"{model}\" is here; there is \"{_metadata.DefaultModelId}\"");
        object? prompt = null;
        _ = options?.AdditionalProperties?.TryGetValue("prompt_name", out prompt);
        TextRole role = Embedder.ParseRole(prompt?.ToString(), _defaultRole) ?? throw new InputException($"\"prompt_name\" is \"query\", \"passage\" or \"plain\", not \"{prompt}\"");
        VectorForm form = _embedder.Form with { Dimensions = options?.Dimensions ?? _embedder.Form.Dimensions };
        TextInput input = new([.. values], null);
        Computed<float[]> made;
        try
        {
            made = await _embedder.EmbedAsync(input, role, form, truncate: true, cancellationToken).ConfigureAwait(false);
        }
        catch (RequestException e)
        {
            throw new InputException(e.Message, e);
        }

        DateTimeOffset now = DateTimeOffset.UtcNow;
        return new GeneratedEmbeddings<Embedding<float>>(made.Values.Select(vector => new Embedding<float>(vector) { CreatedAt = now, ModelId = _metadata.DefaultModelId }))
        {
            Usage = new UsageDetails { InputTokenCount = made.Tokens, TotalTokenCount = made.Tokens },
        };
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        return serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true)) return;
        _embedder.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _device.Dispose();
    }
}
