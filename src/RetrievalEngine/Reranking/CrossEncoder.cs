using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>
/// Scores passages for a query as a <see cref="RerankContract"/> says: one sequence a passage, one number a sequence (the head's output as it is, without a
/// sigmoid, whose saturation would make ties). Batches are packed without padding up to a token budget; of a causal model the tokens that the sequences of a
/// query begin with are computed once. Safe for concurrent use: tokenising runs side by side, the model takes turns.
/// </summary>
public sealed class CrossEncoder : IDisposable
{
    private readonly IBackend _backend;
    private readonly PairTokenizer _tokenizer;
    private readonly Transformer _model;
    private readonly Arena _arena;
    private readonly Lock _turn = new();
    private readonly bool _ownsModel;

    private CrossEncoder(IBackend backend, PairTokenizer tokenizer, Transformer model, bool ownsModel)
    {
        _backend = backend;
        _tokenizer = tokenizer;
        _model = model;
        _arena = new Arena(backend);
        _ownsModel = ownsModel;
    }

    /// <summary>What turns a pair of texts into a sequence here.</summary>
    public RerankContract Contract => _tokenizer.Contract;

    /// <summary>Most tokens of a batch; a longer pair is a batch of its own. It does not change the scores.</summary>
    public int BatchTokens { get; init; } = TextEncoder.DefaultBatchTokens;

    /// <summary>Scores with a reranker that the caller owns, such as one in training.</summary>
    /// <exception cref="InputException">The model or the tokenizer cannot do what the contract asks for.</exception>
    public static CrossEncoder Create(IBackend backend, Tokenizer tokenizer, Transformer model, RerankContract contract, int batchTokens = TextEncoder.DefaultBatchTokens)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new CrossEncoder(backend, new PairTokenizer(tokenizer, model.Config, contract), model, ownsModel: false) { BatchTokens = batchTokens };
    }

    /// <summary>Loads tokenizer, model and adapter, and scores by <paramref name="contract"/>, which <see cref="RerankContractResolver.For"/> has made for them.</summary>
    /// <exception cref="InputException">A file is missing or damaged, the model is no reranker, or the contract cannot be kept.</exception>
    public static CrossEncoder Load(IBackend backend, string modelFolder, string? adapterFolder, RerankContract contract, int batchTokens = TextEncoder.DefaultBatchTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchTokens, 1);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        Transformer model = Transformer.LoadReranker(backend, modelFolder, adapterFolder);
        try
        {
            return new CrossEncoder(backend, new PairTokenizer(tokenizer, model.Config, contract), model, ownsModel: true) { BatchTokens = batchTokens };
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The sequences of <paramref name="query"/> with each of <paramref name="passages"/>.</summary>
    public TokenizedPairs Tokenize(string query, IReadOnlyList<Document> passages, CancellationToken cancellation = default) => _tokenizer.Tokenize(query, passages, cancellation);

    /// <summary>The score of each of <paramref name="passages"/> for <paramref name="query"/>.</summary>
    public float[] Score(string query, IReadOnlyList<Document> passages, CancellationToken cancellation = default)
    {
        float[]?[] scores = new float[1][];
        Score([Tokenize(query, passages, cancellation).Pairs], (_, of) => scores[0] = of, null, cancellation);
        return scores[0]!;
    }

    /// <summary>
    /// Scores the pairs of several queries. <paramref name="finished"/> is told a query's number and the scores of its pairs as soon as they are there, in the
    /// order of the queries; <paramref name="batchDone"/> the pairs and tokens of each batch.
    /// </summary>
    /// <exception cref="InputException">A token id is beyond the model's rows, or the model gives a number that is not finite.</exception>
    public void Score(IReadOnlyList<IReadOnlyList<TokenPair>> queries, Action<int, float[]> finished, Action<int, long>? batchDone, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(queries);
        ArgumentNullException.ThrowIfNull(finished);
        List<(int Query, int First, int Count)> batch = [];
        float[][] scores = [.. queries.Select(pairs => new float[pairs.Count])];
        long tokens = 0;
        int done = 0;
        for (int q = 0; q < queries.Count; q++)
        {
            for (int i = 0; i < queries[q].Count; i++)
            {
                int length = queries[q][i].Ids.Length;
                if (batch.Count > 0 && tokens + length > BatchTokens) Flush();
                if (batch.Count > 0 && batch[^1].Query == q) batch[^1] = batch[^1] with { Count = batch[^1].Count + 1 };
                else batch.Add((q, i, 1));
                tokens += length;
            }
        }

        if (batch.Count > 0) Flush();
        while (done < queries.Count) finished(done, scores[done++]);

        void Flush()
        {
            cancellation.ThrowIfCancellationRequested();
            float[] values = ScoreBatch([.. batch.Select(part => (IReadOnlyList<TokenPair>)[.. queries[part.Query].Skip(part.First).Take(part.Count)])]);
            int at = 0;
            foreach ((int query, int first, int count) in batch)
            {
                values.AsSpan(at, count).CopyTo(scores[query].AsSpan(first));
                at += count;
                while (done < query || (done == query && first + count == scores[query].Length)) finished(done, scores[done++]);
            }

            batchDone?.Invoke(values.Length, tokens);
            batch.Clear();
            tokens = 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _arena.Dispose();
        if (_ownsModel) _model.Dispose();
    }

    /// <summary>Scores of all pairs, group after group.</summary>
    private float[] ScoreBatch(List<IReadOnlyList<TokenPair>> groups)
    {
        int[]? ends = null;
        PackedBatch packed = _model.Config.IsCausal
            ? SharedPrefixes.Pack([.. groups.Select(group => (IReadOnlyList<int[]>)[.. group.Select(pair => pair.Ids)])], out ends)
            : PackedBatch.Pack([.. groups.SelectMany(group => group).Select(pair => pair.Ids)], [.. groups.SelectMany(group => group).Select(pair => pair.TypeIds)]);
        float[] scores;
        lock (_turn)
        {
            _arena.Reset();
            scores = _backend.ToArray(_model.Score(packed, _arena));
        }

        if (ends is not null) scores = [.. ends.Select(end => scores[end])];
        if (!Array.TrueForAll(scores, float.IsFinite)) throw new InputException("the model gives scores that are NaN or infinite; its weights are damaged or overflow");
        return scores;
    }
}
