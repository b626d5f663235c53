using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Text;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Finds out how a model wants to be used, in this order: the contract that training wrote beside the adapter or the model; what a
/// sentence-transformers folder says; and for a plain checkpoint what its family is used with: of a decoder the last token, with EOS appended, of an
/// encoder the mean of all tokens, normalised, up to
/// <see cref="PlainMaxLength"/> tokens.
/// </summary>
internal static class ContractResolver
{
    /// <summary>Most tokens of a text for a checkpoint that says nothing.</summary>
    public const int PlainMaxLength = 512;

    /// <summary>See <see cref="EncodingContract.For"/>.</summary>
    public static EncodingContract Resolve(
        string modelFolder, string? adapterFolder, ContractOverrides overrides, IProgress<ProgressUpdate>? progress,
        CancellationToken cancellation)
    {
        ModelConfig config = ModelConfig.Load(modelFolder);
        RefuseReranker(config, modelFolder, adapterFolder);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        string? file = WrittenBeside(adapterFolder) ?? WrittenBeside(modelFolder);
        EncodingContract written = file is null ? Default(modelFolder, config, tokenizer) : EncodingContract.Load(file);
        EncodingContract made = WithHashesOf(written, modelFolder, adapterFolder, tokenizer, progress, cancellation);
        // What training wrote holds for the weights of that training only.
        if (file is not null
            && (written with { AdapterHash = written.AdapterHash ?? made.AdapterHash }).Mismatch(made, file, "the files") is { } mismatch)
            throw new InputException(mismatch);
        return Override(made, overrides, config, tokenizer);
    }

    /// <summary>The rules for texts alone, without the hashes of the weights, which take as long as reading them.</summary>
    public static EncodingContract Rules(string modelFolder, string? adapterFolder, ContractOverrides overrides)
    {
        ModelConfig config = ModelConfig.Load(modelFolder);
        RefuseReranker(config, modelFolder, adapterFolder);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        string? file = WrittenBeside(adapterFolder) ?? WrittenBeside(modelFolder);
        return Override(file is null ? Default(modelFolder, config, tokenizer) : EncodingContract.Load(file), overrides, config, tokenizer);
    }

    /// <summary><paramref name="contract"/> with the content hashes of what lies in the folders.</summary>
    public static EncodingContract WithHashesOf(EncodingContract contract, string modelFolder, string? adapterFolder, Tokenizer tokenizer,
        IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        (string weights, string? adapter) = Hashes(modelFolder, adapterFolder, progress, cancellation);
        return contract with { TokenizerHash = tokenizer.Hash, WeightsHash = weights, AdapterHash = adapter };
    }

    /// <summary>The content hashes of a model's weights and of an adapter, for which all their files are read once.</summary>
    public static (string Weights, string? Adapter) Hashes(string modelFolder, string? adapterFolder, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        using Checkpoint checkpoint = Checkpoint.Open(modelFolder);
        IEnumerable<string> dense = (SentenceTransformerFolder.Find(modelFolder)?.Dense ?? []).Select(module => module.WeightsFile(modelFolder));
        return (ContentHash.OfFiles([.. checkpoint.Paths.Order(StringComparer.Ordinal), .. dense], progress, cancellation), AdapterHash(adapterFolder, cancellation));
    }

    private static void RefuseReranker(ModelConfig config, string modelFolder, string? adapterFolder)
    {
        string? reranker = config.IsSequenceClassification ? modelFolder
            : adapterFolder is not null && File.Exists(Path.Combine(adapterFolder, AdapterConfig.FileName)) && AdapterConfig.Load(adapterFolder).IsReranker ? adapterFolder
            : null;
        if (reranker is not null)
            throw new InputException($"{reranker} is a reranker, which scores a query with a passage and has no vectors; use `retrieval rerank`");
    }

    private static string? AdapterHash(string? adapterFolder, CancellationToken cancellation)
    {
        if (adapterFolder is null) return null;
        if (!Directory.Exists(adapterFolder))
            throw new InputException($"{adapterFolder}: no such folder; name a folder with {AdapterConfig.FileName}");
        return ContentHash.OfFiles([Path.Combine(adapterFolder, AdapterConfig.FileName), Adapter.FindWeights(adapterFolder)], null, cancellation);
    }

    private static string? WrittenBeside(string? folder)
    {
        if (folder is null) return null;
        string path = Path.Combine(folder, EncodingContract.FileName);
        return File.Exists(path) ? path : null;
    }

    private static EncodingContract Default(string modelFolder, ModelConfig config, Tokenizer tokenizer)
    {
        SentenceTransformerFolder? folder = SentenceTransformerFolder.Find(modelFolder);
        int longest = Math.Min(config.MaxPositionEmbeddings, EncodingContract.LongestSequence);
        int length = folder is null
            ? Math.Min(PlainMaxLength, tokenizer.Special.ModelMaxLength ?? PlainMaxLength)
            : folder.MaxSeqLength ?? tokenizer.Special.ModelMaxLength ?? longest;
        length = Math.Min(length, longest);
        return new EncodingContract
        {
            QueryPrefix = folder?.QueryPrompt ?? "",
            PassagePrefix = folder?.PassagePrompt ?? "",
            AddSpecialTokens = true,
            AppendEosToken = folder is null && config.IsCausal && !EndsWithEos(config, tokenizer),
            QueryMaxLength = length,
            PassageMaxLength = length,
            TruncationSide = tokenizer.TruncationSide,
            Pooling = folder?.Pooling ?? (config.IsCausal ? Pooling.Last : Pooling.Mean),
            Normalize = folder?.Normalize ?? true,
            Dimensions = folder is { Dense: [.., DenseModule last] } ? last.Outputs : config.HiddenSize,
            Similarity = folder is { UsesDotProduct: true } ? Similarity.Dot : Similarity.Cosine,
            TokenizerHash = "",
            WeightsHash = "",
        };
    }

    private static EncodingContract Override(EncodingContract contract, ContractOverrides overrides, ModelConfig config, Tokenizer tokenizer)
    {
        bool appendEos = overrides.AppendEosToken ?? contract.AppendEosToken;
        return contract with
        {
            QueryPrefix = overrides.QueryPrefix ?? contract.QueryPrefix,
            PassagePrefix = overrides.PassagePrefix ?? contract.PassagePrefix,
            Strip = overrides.Strip ?? contract.Strip,
            AddSpecialTokens = overrides.AddSpecialTokens ?? contract.AddSpecialTokens,
            AppendEosToken = appendEos,
            EosTokenId = appendEos ? contract.EosTokenId ?? EosOf(config, tokenizer) : null,
            QueryMaxLength = overrides.QueryMaxLength ?? contract.QueryMaxLength,
            PassageMaxLength = overrides.PassageMaxLength ?? contract.PassageMaxLength,
            TruncationSide = overrides.TruncationSide ?? contract.TruncationSide,
            Pooling = overrides.Pooling ?? contract.Pooling,
            Normalize = overrides.Normalize ?? contract.Normalize,
            Dimensions = overrides.Dimensions ?? contract.Dimensions,
            Temperature = overrides.Temperature ?? contract.Temperature,
        };
    }

    /// <summary>Whether the tokenizer's own template puts EOS behind a text.</summary>
    private static bool EndsWithEos(ModelConfig config, Tokenizer tokenizer)
    {
        int[] ids = tokenizer.Encode("a");
        return ids.Length > 0 && ids[^1] == (tokenizer.Special.EosId ?? config.EosTokenId);
    }

    private static int EosOf(ModelConfig config, Tokenizer tokenizer) => tokenizer.Special.EosId ?? config.EosTokenId
        ?? throw new InputException("neither the tokenizer nor config.json names an EOS token; say --append-eos-token false");
}
