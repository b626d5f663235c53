using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Data;
using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>Turns a query and passages into the sequences that a reranker scores, as a <see cref="RerankContract"/> says. Thread-safe.</summary>
public sealed class PairTokenizer
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _hasTypes;

    /// <summary>For a model of the configuration <paramref name="config"/>.</summary>
    /// <exception cref="InputException">The model or the tokenizer cannot do what the contract asks for.</exception>
    public PairTokenizer(Tokenizer tokenizer, ModelConfig config, RerankContract contract)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(contract);
        if (contract.MaxLength > config.MaxPositionEmbeddings)
            throw new InputException($"a pair may have {contract.MaxLength} tokens, but the model has {config.MaxPositionEmbeddings} positions; lower --rerank-max-len");
        int single = contract.AddSpecialTokens ? tokenizer.SpecialTokenCount : 0, eos = contract.AppendEosToken ? 1 : 0;
        (int least, int given) = contract.Layout switch
        {
            PairLayout.Pair => (tokenizer.EncodePair("", "", contract.AddSpecialTokens).Ids.Length + 2, contract.MaxLength),
            PairLayout.Segments => (single + 1, Math.Min(contract.QueryMaxLength!.Value, contract.PassageMaxLength!.Value)),
            _ => (single + eos + 1, contract.MaxLength),
        };
        if (given < least) throw new InputException($"{given} tokens are too few: with the special tokens it takes {least}");
        _tokenizer = tokenizer;
        _hasTypes = config.TypeVocabSize > 1;
        Contract = contract;
    }

    /// <summary>What turns a pair of texts into a sequence here.</summary>
    public RerankContract Contract { get; }

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
            return (new TokenPair(whole.Ids, _hasTypes ? whole.TypeIds : new int[whole.Ids.Length]), isCut);
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
}
