using System;
using System.IO;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Encoding;
using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>
/// Finds out what a reranker is given, in this order: the contract that training wrote beside the adapter or the model; for a checkpoint that says nothing the
/// tokenizer's pair for an encoder (as sentence-transformers' cross-encoders), and for a decoder RankLLaMA's joined string.
/// </summary>
public static class RerankContractResolver
{
    /// <summary>Most tokens of a pair for a checkpoint that says nothing.</summary>
    public const int PlainMaxLength = 512;

    /// <summary>
    /// The contract of the reranker in <paramref name="modelFolder"/> with the adapter in <paramref name="adapterFolder"/> and <paramref name="overrides"/> on
    /// top, with the content hashes of the files, which are read once.
    /// </summary>
    /// <exception cref="InputException">A file is missing or damaged, the weights are not those that the contract was written for, or the overrides do not go together.</exception>
    public static RerankContract For(string modelFolder, string? adapterFolder, RerankOverrides overrides, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(overrides);
        ModelConfig config = ModelConfig.Load(modelFolder);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        (string weights, string? adapter) = ContractResolver.Hashes(modelFolder, adapterFolder, progress, cancellation);
        string? file = Written(adapterFolder) ?? Written(modelFolder);
        RerankContract contract = file is null ? Default(config, tokenizer) : RerankContract.Load(file);
        if (file is not null) Compare(contract, file, weights, tokenizer.Hash);
        return Override(contract with { TokenizerHash = tokenizer.Hash, WeightsHash = weights, AdapterHash = adapter }, overrides, config, tokenizer);
    }

    /// <summary>The same without the hashes of weights and adapter, for what concerns texts and tokens only: it must not be stored.</summary>
    public static RerankContract RulesFor(string modelFolder, string? adapterFolder, RerankOverrides overrides)
    {
        ArgumentNullException.ThrowIfNull(overrides);
        ModelConfig config = ModelConfig.Load(modelFolder);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        string? file = Written(adapterFolder) ?? Written(modelFolder);
        return Override(file is null ? Default(config, tokenizer) : RerankContract.Load(file), overrides, config, tokenizer);
    }

    private static string? Written(string? folder)
    {
        if (folder is null) return null;
        string path = Path.Combine(folder, RerankContract.FileName);
        return File.Exists(path) ? path : null;
    }

    private static void Compare(RerankContract contract, string file, string weights, string tokenizer)
    {
        if (contract.WeightsHash != weights) throw new InputException($"{file} was written for another base model: the hash of the weights differs");
        if (contract.TokenizerHash != tokenizer) throw new InputException($"{file} was written for another tokenizer: its hash differs");
    }

    private static RerankContract Default(ModelConfig config, Tokenizer tokenizer)
    {
        int length = Math.Min(Math.Min(PlainMaxLength, config.MaxPositionEmbeddings), tokenizer.Special.ModelMaxLength ?? PlainMaxLength);
        return config.IsCausal
            ? new RerankContract { Layout = PairLayout.Joined, QueryPrefix = "query: ", PassagePrefix = "document: ", MaxLength = length, TruncationSide = tokenizer.TruncationSide }
            : new RerankContract { Layout = PairLayout.Pair, MaxLength = length, TruncationSide = tokenizer.TruncationSide };
    }

    private static RerankContract Override(RerankContract contract, RerankOverrides overrides, ModelConfig config, Tokenizer tokenizer)
    {
        PairLayout layout = overrides.Layout ?? contract.Layout;
        bool appendEos = overrides.AppendEosToken ?? contract.AppendEosToken, segments = layout == PairLayout.Segments;
        if (!segments && (overrides.QueryMaxLength ?? overrides.PassageMaxLength) is not null)
            throw new InputException("--query-max-len and --passage-max-len are for --pair-layout segments; --rerank-max-len cuts a pair or a joined string");
        if (segments && overrides.MaxLength is not null)
            throw new InputException("--rerank-max-len is for --pair-layout pair and joined; --query-max-len and --passage-max-len cut the segments");
        if (layout == PairLayout.Pair && appendEos) throw new InputException("--append-eos-token is not for --pair-layout pair, whose end the tokenizer's template says");
        int? query = segments ? overrides.QueryMaxLength ?? contract.QueryMaxLength ?? contract.MaxLength / 4 : null;
        int? passage = segments ? overrides.PassageMaxLength ?? contract.PassageMaxLength ?? contract.MaxLength - query : null;
        return contract with
        {
            Layout = layout,
            QueryPrefix = overrides.QueryPrefix ?? contract.QueryPrefix,
            PassagePrefix = overrides.PassagePrefix ?? contract.PassagePrefix,
            Strip = overrides.Strip ?? contract.Strip,
            HyphensToSpaces = overrides.HyphensToSpaces ?? contract.HyphensToSpaces,
            AddSpecialTokens = overrides.AddSpecialTokens ?? contract.AddSpecialTokens,
            AppendEosToken = appendEos,
            EosTokenId = appendEos
                ? contract.EosTokenId ?? tokenizer.Special.EosId ?? config.EosTokenId ?? throw new InputException("neither the tokenizer nor config.json names an EOS token; say --append-eos-token false")
                : null,
            QueryMaxLength = query,
            PassageMaxLength = passage,
            MaxLength = query + passage + (appendEos ? 1 : 0) ?? overrides.MaxLength ?? contract.MaxLength,
            TruncationSide = overrides.TruncationSide ?? contract.TruncationSide,
        };
    }
}
