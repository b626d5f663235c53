using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Training;

/// <summary>
/// Fine-tunes a pretrained model into an embedding model (or, by <see cref="RerankerTuner"/>, a reranker): puts model, adapter, data, contract and trainer
/// together and writes a result that every verb can load.
/// </summary>
public static class FineTuner
{
    /// <summary>Temperature of a model that says nothing: FlagEmbedding's and the backbone study's 0.02.</summary>
    public const float DefaultTemperature = 0.02f;

    /// <summary>Trains as <paramref name="options"/> say. <paramref name="describe"/> is told, in sentences, what will be done and what was noticed.</summary>
    /// <exception cref="InputException">Something in the files or options cannot be used; nothing was changed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the state was saved.</exception>
    public static TrainingSummary Run(IBackend backend, FineTuneOptions options, IProgress<ProgressUpdate>? progress, Action<string> describe, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(describe);
        return options.Task == TrainingTaskKind.Reranker
            ? RerankerTuner.Run(backend, options, progress, describe, cancellation)
            : Retriever(backend, options, progress, describe, cancellation);
    }

    /// <summary>The training data, with what was left out of it said.</summary>
    internal static TrainingSet OpenData(FineTuneOptions options, IProgress<ProgressUpdate>? progress, Action<string> describe)
    {
        TrainingSet data = TrainingSet.Open(options.TrainData, options.Format, options.Corpus, progress);
        foreach (string warning in data.Warnings) describe($"warning: {warning}");
        return data;
    }

    /// <summary>Says what a step of at most <paramref name="tokens"/> tokens takes of a device's memory, and refuses what cannot fit.</summary>
    internal static void CheckMemory(IBackend backend, FineTuneOptions options, long tokens, Action<string> describe)
    {
        if (backend.FreeBytes is not { } free) return;
        AdapterConfig? adapter = options.StartAdapter is { } start ? AdapterConfig.Load(start) : options.Lora;
        MemoryPlan plan = MemoryPlan.Of(backend, options.Model, adapter, Math.Min(tokens, options.Training.BatchTokens), tokens, options.Training.GradientCheckpointing);
        describe($"memory: {plan.Describe(free)}");
        plan.Require(free, backend.Name);
    }

    /// <summary>Says which fields of <c>config.json</c> are not applied.</summary>
    internal static void WarnOfUnknownFields(Transformer model, FineTuneOptions options, Action<string> describe)
    {
        if (model.Config.UnknownFields.Count > 0)
            describe($"warning: {options.Model}: fields of config.json that this program does not know: {string.Join(", ", model.Config.UnknownFields)}");
    }

    /// <summary>Says what will be done and does it.</summary>
    internal static TrainingSummary Train(IBackend backend, TrainingJob job, FineTuneOptions options, IProgress<ProgressUpdate>? progress, Action<string> describe,
        CancellationToken cancellation)
    {
        Trainer trainer = new(backend, job);
        long weights = job.Trained.Sum(p => p.Value.Count);
        describe(string.Create(CultureInfo.InvariantCulture,
            $"{job.Data.Count:N0} examples, {trainer.TotalSteps:N0} steps of {options.Training.BatchSize * options.Training.AccumulationSteps} queries x {options.Training.TrainGroupSize} passages; {weights:N0} trained weights in {job.Trained.Count} tensors; {backend.Name}"));
        return trainer.Run(options.Resume, progress, cancellation);
    }

    /// <summary>What a run is made from, apart from how texts are treated.</summary>
    internal static Dictionary<string, string> Identity(string weightsHash, string? adapterHash, string tokenizerHash, TrainingSet data, AdapterConfig? adapter) => new()
    {
        ["base_weights"] = weightsHash,
        ["start_adapter"] = adapterHash ?? "",
        ["tokenizer"] = tokenizerHash,
        ["train_data"] = data.ContentHash,
        ["adapter"] = adapter is null ? "" : string.Create(CultureInfo.InvariantCulture,
            $"r {adapter.R} alpha {adapter.LoraAlpha} dropout {adapter.LoraDropout} rslora {adapter.UseRslora} on {adapter.TargetPattern}{string.Join(',', adapter.TargetModules)}"),
    };

    /// <summary><paramref name="adapter"/> with the place of the model that it belongs to.</summary>
    internal static AdapterConfig WithBase(AdapterConfig adapter, string model) => adapter with { BaseModelNameOrPath = Path.GetFullPath(model) };

    private static TrainingSummary Retriever(IBackend backend, FineTuneOptions options, IProgress<ProgressUpdate>? progress, Action<string> describe, CancellationToken cancellation)
    {
        EncodingContract contract = EncodingContract.For(options.Model, options.StartAdapter, options.Contract, progress, cancellation);
        contract = contract with { Temperature = contract.Temperature ?? DefaultTemperature };
        Tokenizer tokenizer = Tokenizer.Load(options.Model);
        using TrainingSet data = OpenData(options, progress, describe);
        DevSet? dev = options.DevData is null ? null : DevSet.Open(options.DevData, options.DevSplit, options.DevCorpusSize);
        CheckMemory(backend, options, options.Training.BatchSize * (contract.QueryMaxLength + (long)options.Training.TrainGroupSize * contract.PassageMaxLength), describe);
        using Transformer model = Transformer.Load(backend, options.Model, exact: options.Lora is null && options.StartAdapter is null);
        WarnOfUnknownFields(model, options, describe);
        if (contract.Dimensions != model.EmbeddingSize)
            throw new InputException($"training uses all {model.EmbeddingSize} dimensions of the model; --dimensions {contract.Dimensions} can be given when encoding");
        AdapterConfig? adapter = options.StartAdapter is not null ? LoraWeights.Load(backend, model, options.StartAdapter) : options.Lora;
        if (options.StartAdapter is null && adapter is not null) LoraWeights.Attach(backend, model, adapter, options.Training.Seed);
        if (adapter is not null) adapter = WithBase(adapter, options.Model) with { TaskType = "FEATURE_EXTRACTION" };
        using TextEncoder encoder = TextEncoder.Create(backend, tokenizer, model, contract);
        using ContrastiveTask task = new(backend, model,
            new ContrastiveOptions(contract.Pooling, contract.Normalize, contract.Temperature.Value, options.Training.BatchTokens, options.Training.GradientCheckpointing),
            options.Training.MaskKnownPositives,
            rows => encoder.Tokenize([.. rows.Select(row => contract.FormatQuery(row.Query, row.Prompt))], EncodingSide.Query).Sequences,
            passages => encoder.Tokenize([.. passages.Select(p => contract.FormatPassage(p.Title, p.Text))], EncodingSide.Passage).Sequences);
        TrainingJob job = new()
        {
            Data = data,
            Trained = adapter is null ? [.. model.Parameters, .. model.Projection?.Parameters ?? []] : model.LoraParameters,
            Task = task,
            Options = options.Training,
            OutputFolder = options.Output,
            Identity = new Dictionary<string, string>(Identity(contract.WeightsHash, contract.AdapterHash, contract.TokenizerHash, data, adapter))
            {
                ["texts"] = string.Create(CultureInfo.InvariantCulture,
                    $"query \"{contract.QueryPrefix}\" {contract.QueryMaxLength} passage \"{contract.PassagePrefix}\" {contract.PassageMaxLength} special {contract.AddSpecialTokens} eos {contract.EosTokenId}{(contract.TruncationSide == TruncationSide.Left ? " left" : "")}"),
            },
            SaveWeights = folder => Save(backend, model, options.Model, adapter, contract, tokenizer, folder),
            Evaluate = dev is null ? null : () => dev.Evaluate(backend, encoder, cancellation),
        };
        if (dev is not null) describe(string.Create(CultureInfo.InvariantCulture, $"dev set: {dev.Queries:N0} queries over {dev.Documents:N0} documents"));
        return Train(backend, job, options, progress, describe, cancellation);
    }

    private static void Save(IBackend backend, Transformer model, string source, AdapterConfig? adapter, EncodingContract contract, Tokenizer tokenizer, string folder)
    {
        if (adapter is not null)
        {
            LoraWeights.Save(backend, model, adapter, folder);
            // The adapter's own hash is taken from its files by whoever loads it.
            (contract with { AdapterHash = null }).Save(folder);
            return;
        }

        ModelFolder.Save(backend, model, source, contract, tokenizer, folder, DType.F32);
    }
}
