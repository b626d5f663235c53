using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Indexing;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Cli;

/// <summary>What <c>retrieval info</c> says of a folder or file.</summary>
internal static class PathDescription
{
    /// <summary>Bytes of the first line that are looked at to tell a run from judgements.</summary>
    private const int HeadBytes = 4096;

    /// <summary>Describes <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is nothing known here, or it is damaged.</exception>
    public static JsonObject Of(string path, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        if (File.Exists(path)) return IsTensors(path) ? OfTensors(path) : OfText(path);
        if (!Directory.Exists(path)) throw new InputException($"{path}: no such file or folder");
        if (Has(EmbeddingManifest.FileName)) return IndexManifest.IsIndex(path) ? OfIndex(path) : OfEmbeddings(path);
        if (Has(AdapterConfig.FileName)) return OfAdapter(path);
        if (Has(ModelConfig.FileName)) return OfModel(path, progress, stop);
        string known = string.Join(", ", ModelConfig.FileName, AdapterConfig.FileName, EmbeddingManifest.FileName);
        throw new InputException($"{path} is no model, adapter, embeddings or index: none of {known} is there");

        bool Has(string file) => File.Exists(Path.Combine(path, file));
    }

    private static bool IsTensors(string path) =>
        path.EndsWith(".safetensors", StringComparison.Ordinal) || path.EndsWith(".bin", StringComparison.Ordinal);

    private static JsonObject OfModel(string folder, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        ModelConfig config = ModelConfig.Load(folder);
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        long parameters = checkpoint.Tensors.Sum(static t => t.Shape.Count);
        JsonObject model = new()
        {
            ["kind"] = "model",
            ["family"] = config.ModelType,
            ["architecture"] = config.Architecture,
            ["layers"] = config.NumHiddenLayers,
            ["hidden_size"] = config.HiddenSize,
            ["attention_heads"] = config.NumAttentionHeads,
            ["key_value_heads"] = config.NumKeyValueHeads,
            ["vocabulary"] = config.VocabSize,
            ["positions"] = config.MaxPositionEmbeddings,
            ["parameters"] = parameters,
            ["stored_as"] = Types(checkpoint.Tensors),
            ["memory_bytes"] =
                new JsonObject { ["float32"] = parameters * DType.F32.Size(), ["float16_or_bfloat16"] = parameters * DType.BF16.Size() },
        };
        if (SentenceTransformerFolder.Find(folder) is { Dense.Count: > 0 } modules)
            model["dense_modules"] = new JsonArray([.. modules.Dense.Select(static d => (JsonNode)$"{d.Folder}: {d.Inputs} to {d.Outputs}, {d.Activation}{(d.Bias ? ", bias" : "")}")]);
        if (config.UnknownFields.Count > 0) model["unknown_config_fields"] = new JsonArray([.. config.UnknownFields.Select(static f => (JsonNode)f)]);
        if (config.IsSequenceClassification)
        {
            model["head"] = config.NumLabels == 1 ? "one score (reranker)" : $"sequence classification, {config.NumLabels} labels";
            if (config.NumLabels == 1) model["rerank_contract"] = RerankContractOf(folder, progress, stop);
        }
        else model["contract"] = ContractOf(folder, progress, stop);
        return model;
    }

    /// <summary>A model without a tokenizer, say, is still a model.</summary>
    private static JsonNode ContractOf(string folder, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        try
        {
            return Contract(EncodingContract.For(folder, null, null, progress, stop));
        }
        catch (InputException e)
        {
            return JsonValue.Create($"none can be told: {e.Message}");
        }
    }

    /// <summary>How a reranker's pairs are made, where it can be told.</summary>
    private static JsonNode RerankContractOf(string folder, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        try
        {
            return RerankContractResolver.For(folder, null, new RerankOverrides(), progress, stop).ToJson();
        }
        catch (InputException e)
        {
            return JsonValue.Create($"none can be told: {e.Message}");
        }
    }

    private static JsonObject OfAdapter(string folder)
    {
        using Adapter adapter = Adapter.Load(folder);
        AdapterConfig config = adapter.Config;
        JsonObject description = new()
        {
            ["kind"] = config.IsReranker ? "adapter of a reranker" : "adapter",
            ["base_model"] = config.BaseModelNameOrPath,
            ["rank"] = config.R,
            ["alpha"] = config.LoraAlpha,
            ["dropout"] = config.LoraDropout,
            ["target_modules"] = config.TargetPattern is { } pattern
                ? pattern
                : new JsonArray([.. config.TargetModules.Select(static m => (JsonNode)m)]),
            ["adapted_maps"] = adapter.Modules.Count,
            ["saved_modules"] = new JsonArray([.. adapter.Saved.Canonical.Select(static name => (JsonNode)name)]),
            ["parameters"] = adapter.Weights.Tensors.Sum(static t => t.Shape.Count),
            ["stored_as"] = Types(adapter.Weights.Tensors),
        };
        string contract = Path.Combine(folder, EncodingContract.FileName);
        if (File.Exists(contract)) description["contract"] = Contract(EncodingContract.Load(contract));
        string pairs = Path.Combine(folder, RerankContract.FileName);
        if (File.Exists(pairs)) description["rerank_contract"] = RerankContract.Load(pairs).ToJson();
        return description;
    }

    private static JsonObject OfIndex(string folder)
    {
        using IndexStore store = IndexStore.Open(folder);
        IndexManifest manifest = store.Manifest;
        return new JsonObject
        {
            ["kind"] = "index",
            ["rows"] = manifest.Rows,
            ["deleted_rows"] = store.Deleted.Count,
            ["dimensions"] = manifest.Dimensions,
            ["metric"] = IndexManifest.MetricName(manifest.Metric),
            ["storage"] = IndexManifest.StorageName(manifest.Storage),
            ["shards"] = manifest.Shards.Count,
            ["generation"] = manifest.Generation,
            ["model"] = manifest.ModelPath,
            ["adapter"] = manifest.AdapterPath,
            ["contract"] = manifest.Contract is { } contract ? Contract(contract) : null,
        };
    }

    private static JsonObject OfEmbeddings(string folder)
    {
        EmbeddingManifest manifest = EmbeddingManifest.Load(folder);
        return new JsonObject
        {
            ["kind"] = "embeddings",
            ["complete"] = manifest.Complete,
            ["of"] = EmbeddingManifest.SideName(manifest.Side),
            ["rows"] = manifest.Rows,
            ["rows_of_the_source"] = manifest.Source.Rows,
            ["dimensions"] = manifest.Contract.Dimensions,
            ["dtype"] = EmbeddingManifest.DTypeName(manifest.DType),
            ["bytes"] = manifest.Rows * manifest.Contract.Dimensions * manifest.DType.Size(),
            ["shards"] = manifest.Shards.Count,
            ["generation"] = manifest.Generation,
            ["source"] = manifest.Source.Path,
            ["model"] = manifest.ModelPath,
            ["adapter"] = manifest.AdapterPath,
            ["tokens"] = manifest.Tokens,
            ["truncated_texts"] = manifest.Truncated,
            ["empty_texts"] = manifest.Empty,
            ["contract"] = Contract(manifest.Contract),
        };
    }

    private static JsonObject OfTensors(string path)
    {
        using TensorFile file = TensorFile.Open(path);
        JsonObject tensors = [];
        foreach (StoredTensor tensor in file.Tensors) tensors[tensor.Name] = $"{tensor.StoredType} {tensor.Shape}";
        return new JsonObject
        {
            ["kind"] = file is SafeTensorsFile ? "safetensors" : "tensors of torch.save",
            ["parameters"] = file.Tensors.Sum(static t => t.Shape.Count),
            ["stored_as"] = Types(file.Tensors),
            ["tensors"] = tensors,
        };
    }

    private static JsonObject OfText(string path)
    {
        byte[] head = new byte[HeadBytes];
        using (FileStream stream = File.OpenRead(path)) head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        string first = System.Text.Encoding.UTF8.GetString(head).TrimStart().Split('\n')[0];
        string[] fields = first.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length == 4 || (fields.Length == 3 && fields[0] == "query-id"))
        {
            Qrels qrels = Qrels.Load(path);
            int[] grades = [.. qrels.QueryIds.SelectMany(q => qrels[q].Values)];
            JsonObject counts = [];
            foreach (IGrouping<int, int> grade in grades.GroupBy(static g => g).OrderBy(static g => g.Key))
                counts[grade.Key.ToString(CultureInfo.InvariantCulture)] = grade.Count();
            return new JsonObject { ["kind"] = "qrels", ["queries"] = qrels.Count, ["judgements"] = grades.Length, ["judgements_by_grade"] = counts };
        }

        if (fields.Length is not (3 or 6) || first[0] == '{')
            throw new InputException($"{path}: its first line is none of a run (6 or 3 columns) or of relevance judgements (4 columns)");
        RunFile run = RunFile.Load(path);
        int[] depths = [.. run.QueryIds.Select(q => run[q].Count)];
        return new JsonObject
        {
            ["kind"] = "run",
            ["tag"] = run.Tag,
            ["queries"] = depths.Length,
            ["documents"] = depths.Sum(static d => (long)d),
            ["depth_min"] = depths.Min(),
            ["depth_max"] = depths.Max(),
        };
    }

    private static JsonNode Contract(EncodingContract contract) => JsonNode.Parse(contract.ToJson())!;

    private static string Types(IEnumerable<StoredTensor> tensors) => string.Join(", ", tensors.Select(static t => t.StoredType).Distinct());
}
