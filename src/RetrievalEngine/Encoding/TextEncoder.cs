using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Turns texts into vectors as an <see cref="EncodingContract"/> says: template, tokens, model, pooling, normalisation. Batches are packed without
/// padding up to a token budget, longest texts first, and the order is restored. Safe for concurrent use: tokenising runs side by side, the model
/// takes turns.
/// </summary>
public sealed class TextEncoder : IDisposable
{
    /// <summary>Tokens of a batch where nothing else is asked for: enough for matrix products at full speed, little enough for caches.</summary>
    public const int DefaultBatchTokens = 4096;

    private readonly IBackend _backend;
    private readonly Transformer _model;
    private readonly Arena _arena;
    private readonly Lock _turn = new();
    private readonly int? _eos;
    private readonly bool _ownsModel;

    private TextEncoder(IBackend backend, Tokenizer tokenizer, Transformer model, EncodingContract contract, bool ownsModel)
    {
        _backend = backend;
        Tokenizer = tokenizer;
        _model = model;
        _arena = new Arena(backend);
        _ownsModel = ownsModel;
        _eos = contract.EosTokenId ?? tokenizer.Special.EosId;
        Contract = contract;
    }

    /// <summary>What turns texts into vectors here.</summary>
    public EncodingContract Contract { get; }

    /// <summary>What turns texts into tokens here.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Rows of the table of token embeddings: a token id must be smaller.</summary>
    public int TokenRows => _model.Config.VocabSize;

    /// <summary>The form of the contract.</summary>
    public VectorForm Form => new(Contract.Dimensions, Contract.Normalize);

    /// <summary>Most tokens of a batch; a longer text is a batch of its own. It does not change the vectors.</summary>
    public int BatchTokens { get; init; } = DefaultBatchTokens;

    /// <summary>Encodes with a model that the caller owns, such as one in training.</summary>
    /// <exception cref="InputException">The model or the tokenizer cannot do what the contract asks for.</exception>
    public static TextEncoder Create(IBackend backend, Tokenizer tokenizer, Transformer model, EncodingContract contract) =>
        Create(backend, tokenizer, model, contract, ownsModel: false);

    /// <summary>
    /// Loads tokenizer, model and adapter, and encodes by <paramref name="contract"/>, which <see cref="EncodingContract.For"/> has made for them.
    /// </summary>
    /// <exception cref="InputException">A file is missing, damaged, or the contract cannot be kept.</exception>
    public static TextEncoder Load(
        IBackend backend, string modelFolder, string? adapterFolder, EncodingContract contract, int batchTokens = DefaultBatchTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchTokens, 1);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        Transformer model = Transformer.Load(backend, modelFolder);
        try
        {
            if (adapterFolder is not null) LoraWeights.Load(backend, model, adapterFolder);
            return Create(backend, tokenizer, model, contract, ownsModel: true, batchTokens);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Vectors [n, dimensions] of queries.</summary>
    public float[] EncodeQueries(IReadOnlyList<string> queries, CancellationToken cancellation = default) =>
        Encode(Tokenize([.. queries.Select(text => Contract.FormatQuery(text))], EncodingSide.Query, cancellation: cancellation), cancellation);

    /// <summary>Vectors [n, dimensions] of queries, some of which may have prompts of their own.</summary>
    public float[] EncodeQueries(IReadOnlyList<Query> queries, CancellationToken cancellation = default) =>
        Encode(Tokenize([.. queries.Select(q => Contract.FormatQuery(q.Text, q.Prompt))], EncodingSide.Query, cancellation: cancellation), cancellation);

    /// <summary>Vectors [n, dimensions] of passages.</summary>
    public float[] EncodePassages(IReadOnlyList<Document> passages, CancellationToken cancellation = default) =>
        Encode(Tokenize([.. passages.Select(d => Contract.FormatPassage(d.Title, d.Text))], EncodingSide.Passage, cancellation: cancellation),
            cancellation);

    /// <summary>
    /// The tokens of texts that <see cref="EncodingContract.FormatQuery"/> or <see cref="EncodingContract.FormatPassage"/> has made. Where EOS is
    /// appended, a text is cut to one token less than the length of its side. A text without any token is one EOS.
    /// </summary>
    /// <param name="texts">The texts.</param>
    /// <param name="side">Which length holds.</param>
    /// <param name="ids">What messages call the texts; their numbers without.</param>
    /// <param name="cancellation">Stops between two texts.</param>
    /// <exception cref="InputException">A text has no token and the tokenizer no EOS to stand for it.</exception>
    public TokenizedTexts Tokenize(
        IReadOnlyList<string> texts, EncodingSide side, IReadOnlyList<string>? ids = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        int budget = Contract.MaxLength(side) - (Contract.AppendEosToken ? 1 : 0);
        int special = Tokenizer.Encode("", Contract.AddSpecialTokens).Length;
        int[][] sequences = new int[texts.Count][];
        long tokens = 0;
        int truncated = 0, empty = 0, withoutToken = -1;
        ParallelOptions options = new() { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount };
        Parallel.For(0, texts.Count, options, i =>
        {
            // One token more than fits tells whether anything was lost.
            int[] sequence = Tokenizer.Encode(texts[i], Contract.AddSpecialTokens, budget + 1, Contract.TruncationSide);
            if (sequence.Length == special) Interlocked.Increment(ref empty);
            if (sequence.Length > budget)
            {
                Interlocked.Increment(ref truncated);
                sequence = Tokenizer.Encode(texts[i], Contract.AddSpecialTokens, budget, Contract.TruncationSide);
            }

            if (Contract.AppendEosToken) sequence = [.. sequence, Contract.EosTokenId!.Value];
            if (sequence.Length == 0 && _eos is { } eos) sequence = [eos];
            if (sequence.Length == 0) Volatile.Write(ref withoutToken, i);
            sequences[i] = sequence;
            Interlocked.Add(ref tokens, sequence.Length);
        });
        if (withoutToken >= 0)
        {
            string name = ids?[withoutToken] ?? (withoutToken + 1).ToString(CultureInfo.InvariantCulture);
            throw new InputException($"text {name} has no token and the tokenizer no EOS to stand for it; remove the text");
        }

        return new TokenizedTexts(sequences, tokens, truncated, empty);
    }

    /// <summary>Vectors [n, dimensions] of tokenised texts, in their order.</summary>
    /// <exception cref="InputException">A token id is beyond the model's rows, or the model gives a number that is not finite.</exception>
    public float[] Encode(TokenizedTexts texts, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        float[] vectors = new float[(long)texts.Sequences.Count * Contract.Dimensions];
        Encode(texts, vectors, null, cancellation);
        return vectors;
    }

    /// <summary>The same into <paramref name="vectors"/>; <paramref name="finished"/> is told the texts and tokens of each batch.</summary>
    public void Encode(TokenizedTexts texts, Span<float> vectors, Action<int, int>? finished, CancellationToken cancellation = default) =>
        Encode(texts, Form, vectors, finished, cancellation);

    /// <summary>The same in another form than the contract's.</summary>
    /// <exception cref="ArgumentException">The form has more dimensions than the contract, or the vectors need other room.</exception>
    public void Encode(TokenizedTexts texts, VectorForm form, Span<float> vectors, Action<int, int>? finished, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        int dimensions = form.Dimensions;
        if (dimensions < 1 || dimensions > Contract.Dimensions) throw new ArgumentException($"vectors have 1 to {Contract.Dimensions} dimensions, not {dimensions}", nameof(form));
        if (vectors.Length != (long)texts.Sequences.Count * dimensions)
            throw new ArgumentException(
                $"{texts.Sequences.Count} vectors of {dimensions} need {(long)texts.Sequences.Count * dimensions} numbers, not {vectors.Length}",
                    nameof(vectors));
        foreach (int[] batch in Batches(texts.Sequences))
        {
            cancellation.ThrowIfCancellationRequested();
            PackedBatch packed = PackedBatch.Pack([.. batch.Select(i => texts.Sequences[i])]);
            float[] rows = EncodeBatch(packed, form);
            for (int b = 0; b < batch.Length; b++)
            {
                ReadOnlySpan<float> row = rows.AsSpan(b * dimensions, dimensions);
                foreach (float value in row)
                {
                    if (!float.IsFinite(value))
                        throw new InputException("the model gives vectors with NaN or infinity; its weights are damaged or overflow");
                }

                row.CopyTo(vectors[(batch[b] * dimensions)..]);
            }

            finished?.Invoke(batch.Length, packed.Tokens);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _arena.Dispose();
        if (_ownsModel) _model.Dispose();
    }

    private static TextEncoder Create(IBackend backend, Tokenizer tokenizer, Transformer model, EncodingContract contract, bool ownsModel,
        int batchTokens = DefaultBatchTokens)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(contract);
        if (contract.Dimensions > model.EmbeddingSize)
            throw new InputException($"vectors of {contract.Dimensions} dimensions are asked for, but the model's have {model.EmbeddingSize}");
        if (contract.AppendEosToken && contract.EosTokenId is null)
            throw new InputException(
                "append_eos_token is on, but neither the tokenizer nor the model names an EOS token; switch it off with --append-eos-token false");
        int special = tokenizer.Encode("", contract.AddSpecialTokens).Length + (contract.AppendEosToken ? 1 : 0);
        foreach (EncodingSide side in (EncodingSide[])[EncodingSide.Query, EncodingSide.Passage])
        {
            string name = side == EncodingSide.Query ? "query_max_len" : "passage_max_len";
            if (contract.MaxLength(side) > model.MaxPositions)
                throw new InputException($"{name} is {contract.MaxLength(side)}, but the model has {model.MaxPositions} positions");
            if (contract.MaxLength(side) < Math.Max(special, 1))
                throw new InputException($"{name} is {contract.MaxLength(side)}, but the special tokens alone are {special}");
        }

        return new TextEncoder(backend, tokenizer, model, contract, ownsModel) { BatchTokens = batchTokens };
    }

    /// <summary>
    /// Numbers of sequences, longest first, in groups of at most <see cref="BatchTokens"/> tokens. Which texts share a group depends on the lengths
    /// alone.
    /// </summary>
    private IEnumerable<int[]> Batches(IReadOnlyList<int[]> sequences)
    {
        int[] order = [.. Enumerable.Range(0, sequences.Count).OrderByDescending(i => sequences[i].Length).ThenBy(i => i)];
        for (int first = 0, next; first < order.Length; first = next)
        {
            long tokens = sequences[order[first]].Length;
            for (next = first + 1; next < order.Length && tokens + sequences[order[next]].Length <= BatchTokens; next++)
                tokens += sequences[order[next]].Length;
            yield return order[first..next];
        }
    }

    /// <summary>Vectors [B, dimensions] of one batch.</summary>
    private float[] EncodeBatch(PackedBatch batch, VectorForm form)
    {
        lock (_turn)
        {
            _arena.Reset();
            Tensor pooled = _model.ForwardPooled(batch, Contract.Pooling, _arena);
            if (_model.Projection is { } projection) pooled = projection.Forward(pooled, _arena, out _);
            if (form.Dimensions < _model.EmbeddingSize) pooled = FirstColumns(pooled, form.Dimensions);
            if (form.Normalize) _backend.L2NormalizeForward(pooled, pooled, _arena.Allocate(new Shape(batch.Sequences)));
            return _backend.ToArray(pooled);
        }
    }

    private Tensor FirstColumns(Tensor rows, int columns)
    {
        float[] all = _backend.ToArray(rows), kept = new float[rows.Shape[0] * columns];
        for (int row = 0; row < rows.Shape[0]; row++) all.AsSpan(row * (int)rows.Shape[1], columns).CopyTo(kept.AsSpan(row * columns));
        Tensor cut = _arena.Allocate(new Shape(rows.Shape[0], columns));
        _backend.Upload(MemoryMarshal.AsBytes(kept.AsSpan()), cut);
        return cut;
    }
}
