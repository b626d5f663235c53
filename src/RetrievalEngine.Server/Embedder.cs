using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Encoding;
using RetrievalEngine.Text;

namespace RetrievalEngine.Server;

/// <summary>Vectors for many callers at once: texts become tokens on the caller's side, tokens become vectors in batches. Safe for concurrent use.</summary>
internal sealed class Embedder : IAsyncDisposable
{
    private readonly TextEncoder _encoder;
    private readonly BatchQueue<Item, float[]> _queue;

    /// <summary>Takes turns on <paramref name="device"/>; <paramref name="computed"/> is told the texts and tokens of each batch.</summary>
    public Embedder(TextEncoder encoder, long mostQueuedTokens, SemaphoreSlim device, Action<int, long>? computed = null)
    {
        _encoder = encoder;
        _queue = new BatchQueue<Item, float[]>(Compute, static item => item.Ids.Length, encoder.BatchTokens, mostQueuedTokens, device, computed);
    }

    /// <summary>The rules for texts.</summary>
    public EncodingContract Contract => _encoder.Contract;

    /// <summary>The form of vectors where nothing else is asked for.</summary>
    public VectorForm Form => _encoder.Form;

    /// <summary>What turns texts into tokens.</summary>
    public Tokenizer Tokenizer => _encoder.Tokenizer;

    /// <summary>Texts that wait.</summary>
    public int Waiting => _queue.Waiting;

    /// <summary>
    /// The vectors of <paramref name="input"/> in <paramref name="form"/>. With <paramref name="truncate"/> what is too long is cut, else refused.
    /// </summary>
    /// <exception cref="RequestException">The input cannot be taken, or the server is busy, stops or fails.</exception>
    public async Task<Computed<float[]>> EmbedAsync(TextInput input, TextRole role, VectorForm form, bool truncate, CancellationToken cancellation)
    {
        if (form.Dimensions < 1 || form.Dimensions > Contract.Dimensions)
            throw RequestException.Invalid($"dimensions must lie between 1 and {Contract.Dimensions}, not {form.Dimensions}");
        long start = Stopwatch.GetTimestamp();
        (IReadOnlyList<int[]> sequences, int truncated) = input.Ids is { } ids ? Check(ids, truncate) : Tokenize(input.Texts!, role, truncate, cancellation);
        TimeSpan tokenized = Stopwatch.GetElapsedTime(start);
        BatchResults<float[]> results = await _queue.RunAsync([.. sequences.Select(sequence => new Item(sequence, form))], cancellation).ConfigureAwait(false);
        return new Computed<float[]>(results.Results, sequences.Sum(static sequence => (long)sequence.Length), truncated, tokenized, results.Queued, results.Computed);
    }

    /// <summary>What a text is, in the words of several peers; null for a word that is not known.</summary>
    public static TextRole? ParseRole(string? word, TextRole otherwise) => word switch
    {
        null => otherwise,
        "query" or "search_query" => TextRole.Query,
        "passage" or "document" or "search_document" => TextRole.Passage,
        "plain" => TextRole.Plain,
        _ => null,
    };

    /// <summary>What the tokenizer sees of a text.</summary>
    public string Format(string text, TextRole role) => role switch
    {
        TextRole.Query => Contract.FormatQuery(text),
        TextRole.Passage => Contract.FormatPassage(null, text),
        _ => text,
    };

    /// <summary>What <paramref name="tokenize"/> gives; a text that cannot become tokens is the client's fault.</summary>
    public static T Tokenized<T>(Func<T> tokenize)
    {
        try
        {
            return tokenize();
        }
        catch (InputException e)
        {
            throw RequestException.Invalid(e.Message);
        }
        catch (AggregateException e) when (e.InnerException is InputException inner)
        {
            throw RequestException.Invalid(inner.Message);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _queue.DisposeAsync();

    private (IReadOnlyList<int[]> Sequences, int Truncated) Tokenize(IReadOnlyList<string> texts, TextRole role, bool truncate, CancellationToken cancellation)
    {
        EncodingSide side = role == TextRole.Query ? EncodingSide.Query : EncodingSide.Passage;
        string[] formatted = [.. texts.Select(text => Format(text, role))];
        string[] names = [.. Enumerable.Range(0, formatted.Length).Select(static i => $"input[{i}]")];
        TokenizedTexts tokens = Tokenized(() => _encoder.Tokenize(formatted, side, names, cancellation));
        if (tokens.Truncated > 0 && !truncate)
        {
            int at = Array.FindIndex(formatted, text => _encoder.Tokenize([text], side, cancellation: cancellation).Truncated > 0);
            throw RequestException.Invalid($"input[{at}] has more than the {Contract.MaxLength(side)} tokens that the model takes; shorten it, or ask for \"truncate\": true");
        }

        return (tokens.Sequences, tokens.Truncated);
    }

    private (IReadOnlyList<int[]> Sequences, int Truncated) Check(IReadOnlyList<int[]> sequences, bool truncate)
    {
        int longest = Contract.PassageMaxLength, truncated = 0;
        int[][] kept = new int[sequences.Count][];
        for (int i = 0; i < kept.Length; i++)
        {
            int[] ids = sequences[i];
            foreach (int id in ids)
            {
                if (id >= _encoder.TokenRows) throw RequestException.Invalid($"input[{i}] has the token id {id}, but the model has {_encoder.TokenRows} tokens");
            }

            if (ids.Length > longest && !truncate)
                throw RequestException.Invalid($"input[{i}] has {ids.Length} tokens, more than the {longest} that the model takes; shorten it, or ask for \"truncate\": true");
            truncated += ids.Length > longest ? 1 : 0;
            kept[i] = ids.Length <= longest ? ids : Contract.TruncationSide == TruncationSide.Left ? ids[^longest..] : ids[..longest];
        }

        return (kept, truncated);
    }

    private float[][][] Compute(IReadOnlyList<IReadOnlyList<Item>> groups) => MixedBatch.Compute(groups, static item => item.Form, (form, items) =>
    {
        float[] vectors = new float[items.Length * form.Dimensions];
        int[][] sequences = Array.ConvertAll(items, static item => item.Ids);
        _encoder.Encode(new TokenizedTexts(sequences, sequences.Sum(static ids => (long)ids.Length), 0, 0), form, vectors, null);
        return vectors.Chunk(form.Dimensions);
    });

    private readonly record struct Item(int[] Ids, VectorForm Form);
}
