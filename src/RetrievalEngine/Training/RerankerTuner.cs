using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Models;
using RetrievalEngine.Reranking;
using RetrievalEngine.Text;

namespace RetrievalEngine.Training;

/// <summary>
/// Fine-tunes a pretrained model into a reranker, as <see cref="FineTuner"/> does into an embedding model. A head that the checkpoint does not have is drawn at
/// random from the seed; with LoRA it is trained in full and stored in the adapter (PEFT's <c>modules_to_save</c>).
/// </summary>
internal static class RerankerTuner
{
    /// <summary>See <see cref="FineTuner.Run"/>.</summary>
    public static TrainingSummary Run(IBackend backend, FineTuneOptions options, IProgress<ProgressUpdate>? progress, Action<string> describe, CancellationToken cancellation)
    {
        RerankContract contract = RerankContractResolver.For(options.Model, options.StartAdapter, options.Rerank, progress, cancellation);
        Tokenizer tokenizer = Tokenizer.Load(options.Model);
        using TrainingSet data = FineTuner.OpenData(options, progress, describe);
        RefuseWithoutNegatives(data, options, describe);
        using RerankDevSet? dev = options.DevData is null ? null : RerankDevSet.Open(options.DevData, options.DevSplit,
            options.DevRun ?? throw new InputException("a reranker is measured on what a retriever found: give --dev-run RUN beside --dev-data"), options.DevDepth);
        FineTuner.CheckMemory(backend, options, (long)options.Training.BatchSize * options.Training.TrainGroupSize * contract.MaxLength, describe);
        bool full = options.Lora is null && options.StartAdapter is null;
        using Transformer model = Transformer.LoadReranker(backend, options.Model, options.StartAdapter, options.Training.Seed, exact: full);
        FineTuner.WarnOfUnknownFields(model, options, describe);
        if (model.Head!.Fresh.Count > 0) describe($"the head is new, drawn from the seed: {string.Join(", ", model.Head.Fresh)}");
        AdapterConfig? adapter = options.StartAdapter is { } start ? AdapterConfig.Load(start) : options.Lora;
        if (adapter is not null)
        {
            adapter = adapter with { TaskType = AdapterConfig.RerankerTask, ModulesToSave = [.. adapter.ModulesToSave.Union(model.HeadModules())] };
            if (options.StartAdapter is null) LoraWeights.Attach(backend, model, adapter, options.Training.Seed);
        }

        IReadOnlyList<Parameter> trained = adapter is null ? model.Parameters : [.. model.LoraParameters, .. LoraWeights.SavedParameters(model, adapter)];
        using CrossEncoder encoder = CrossEncoder.Create(backend, tokenizer, model, contract);
        using RerankingTask task = new(backend, model, options.Training.BatchTokens, options.Training.GradientCheckpointing,
            (row, passages) => encoder.Tokenize(row.Query, passages).Pairs);
        TrainingJob job = new()
        {
            Data = data,
            Trained = trained,
            Task = task,
            Options = options.Training,
            OutputFolder = options.Output,
            Identity = Identity(contract, data, adapter),
            SaveWeights = folder => Save(backend, model, options.Model, adapter, contract, tokenizer, folder),
            Evaluate = dev is null ? null : () => dev.Evaluate(encoder, cancellation),
        };
        if (dev is not null) describe(string.Create(CultureInfo.InvariantCulture, $"dev set: the best {options.DevDepth} documents of {dev.Queries:N0} queries"));
        return FineTuner.Train(backend, job, options, progress, describe, cancellation);
    }

    /// <summary>A query with its positive alone has a loss of 0 whatever the model does.</summary>
    private static void RefuseWithoutNegatives(TrainingSet data, FineTuneOptions options, Action<string> describe)
    {
        int without = options.Training.TrainGroupSize < 2 ? data.Count : data.Count(row => row.Negatives.Count == 0);
        if (without == data.Count)
        {
            throw new InputException(options.Training.TrainGroupSize < 2
                ? "--train-group-size must be at least 2 for a reranker: a positive and its negatives"
                : $"{options.TrainData}: no row has negatives, which a reranker is trained against; mine some by `retrieval mine`");
        }

        if (without > 0) describe($"warning: {without} of {data.Count} rows have no negatives and teach nothing");
    }

    private static Dictionary<string, string> Identity(RerankContract contract, TrainingSet data, AdapterConfig? adapter) => new(FineTuner.Identity(
        contract.WeightsHash, contract.AdapterHash, contract.TokenizerHash, data, adapter))
    {
        ["task"] = "reranker",
        ["texts"] = (contract with { AdapterHash = null }).ToJson().ToJsonString(),
    };

    private static void Save(IBackend backend, Transformer model, string source, AdapterConfig? adapter, RerankContract contract, Tokenizer tokenizer, string folder)
    {
        if (adapter is null)
        {
            RerankerFolder.Save(backend, model, source, contract, tokenizer, folder, DType.F32);
            return;
        }

        LoraWeights.Save(backend, model, FineTuner.WithBase(adapter, source), folder);
        // The adapter's own hash is taken from its files by whoever loads it.
        (contract with { AdapterHash = null }).Save(folder);
    }
}
