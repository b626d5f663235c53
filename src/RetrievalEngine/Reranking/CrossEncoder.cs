using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
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
    private readonly Tokenizer _tokenizer;
    private readonly Transformer _model;
    private readonly Arena _arena;
    private readonly Lock _turn = new();
    private readonly bool _ownsModel;

    private CrossEncoder(IBackend backend, Tokenizer tokenizer, Transformer model, RerankContract contract, bool ownsModel)
    {
        _backend = backend;
        _tokenizer = tokenizer;
        _model = model;
        _arena = new Arena(backend);
        _ownsModel = ownsModel;
        Contract = contract;
    }

    /// <summary>What turns a pair of texts into a sequence here.</summary>
    public RerankContract Contract { get; }

    /// <summary>Most tokens of a batch; a longer pair is a batch of its own. It does not change the scores.</summary>
    public int BatchTokens { get; init; } = TextEncoder.DefaultBatchTokens;

    /// <summary>Scores with a reranker that the caller owns, such as one in training.</summary>
    /// <exception cref="InputException">The model or the tokenizer cannot do what the contract asks for.</exception>
    public static CrossEncoder Create(IBackend backend, Tokenizer tokenizer, Transformer model, RerankContract contract, int batchTokens = TextEncoder.DefaultBatchTokens)
    {
        Check(tokenizer, model, contract);
        return new CrossEncoder(backend, tokenizer, model, contract, ownsModel: false) { BatchTokens = batchTokens };
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
            Check(tokenizer, model, contract);
            return new CrossEncoder(backend, tokenizer, model, contract, ownsModel: true) { BatchTokens = batchTokens };
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The sequences of <paramref name="query"/> with each of <paramref name="passages"/>.</summary>
    public TokenizedPairs Tokenize(string query, IReadOnlyList<Document> passages, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(passages);
        TokenPair[] pairs = new TokenPair[passages.Count];
        string formatted = Contract.FormatQuery(query);
        long tokens = 0;
        int truncated = 0;
        ParallelOptions options = new() { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount };
        Parallel.For(0, passages.Count, options, i =>
        {
            (pairs[i], bool isCut) = Tokenize(formatted, Contract.FormatPassage(passages[i].Title, passages[i].Text));
            if (isCut) Interlocked.Increment(ref truncated);
            Interlocked.Add(ref tokens, pairs[i].Ids.Length);
        });
        return new TokenizedPairs(pairs, tokens, truncated);
    }

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

    private static void Check(Tokenizer tokenizer, Transformer model, RerankContract contract)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(contract);
        if (contract.MaxLength > model.MaxPositions)
            throw new InputException($"a pair may have {contract.MaxLength} tokens, but the model has {model.MaxPositions} positions; lower --rerank-max-len");
        int single = contract.AddSpecialTokens ? tokenizer.SpecialTokenCount : 0, eos = contract.AppendEosToken ? 1 : 0;
        (int least, int given) = contract.Layout switch
        {
            PairLayout.Pair => (tokenizer.EncodePair("", "", contract.AddSpecialTokens).Ids.Length + 2, contract.MaxLength),
            PairLayout.Segments => (single + 1, Math.Min(contract.QueryMaxLength!.Value, contract.PassageMaxLength!.Value)),
            _ => (single + eos + 1, contract.MaxLength),
        };
        if (given < least) throw new InputException($"{given} tokens are too few: with the special tokens it takes {least}");
    }

    private (TokenPair Pair, bool IsCut) Tokenize(string query, string passage)
    {
        bool special = Contract.AddSpecialTokens;
        int eos = Contract.AppendEosToken ? 1 : 0;
        if (Contract.Layout == PairLayout.Pair)
        {
            // One token more than fits tells whether anything was lost.
            TokenizedText whole = _tokenizer.EncodePair(query, passage, special, Contract.MaxLength + 1, Contract.TruncationSide);
            bool isCut = whole.Ids.Length > Contract.MaxLength;
            if (isCut) whole = _tokenizer.EncodePair(query, passage, special, Contract.MaxLength, Contract.TruncationSide);
            return (new TokenPair(whole.Ids, _model.Config.TypeVocabSize > 1 ? whole.TypeIds : new int[whole.Ids.Length]), isCut);
        }

        (int[] ids, bool cut) = Contract.Layout == PairLayout.Joined
            ? Cut($"{query} {passage}".Trim(), Contract.MaxLength - eos)
            : Both(Cut(query, Contract.QueryMaxLength!.Value), Cut(passage, Contract.PassageMaxLength!.Value));
        if (Contract.EosTokenId is { } id) ids = [.. ids, id];
        if (ids.Length == 0) throw new InputException("a pair of texts has no token and the template adds none; remove empty texts");
        return (new TokenPair(ids, new int[ids.Length]), cut);

        (int[] Ids, bool IsCut) Cut(string text, int most)
        {
            int[] all = _tokenizer.Encode(text, special, most + 1, Contract.TruncationSide);
            return all.Length > most ? (_tokenizer.Encode(text, special, most, Contract.TruncationSide), true) : (all, false);
        }

        static (int[] Ids, bool IsCut) Both((int[] Ids, bool IsCut) a, (int[] Ids, bool IsCut) b) => ([.. a.Ids, .. b.Ids], a.IsCut || b.IsCut);
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
