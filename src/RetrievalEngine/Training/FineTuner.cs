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
/// Fine-tunes a pretrained model into an embedding model: puts model, adapter, data, contract and trainer together and writes a result that every
/// verb can load.
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
        EncodingContract contract = EncodingContract.For(options.Model, options.StartAdapter, options.Contract, progress, cancellation);
        contract = contract with { Temperature = contract.Temperature ?? DefaultTemperature };
        Tokenizer tokenizer = Tokenizer.Load(options.Model);
        using TrainingSet data = TrainingSet.Open(options.TrainData, options.Format, options.Corpus, progress);
        foreach (string warning in data.Warnings) describe($"warning: {warning}");
        DevSet? dev = options.DevData is null ? null : DevSet.Open(options.DevData, options.DevSplit, options.DevCorpusSize);
        if (backend.FreeBytes is { } free)
        {
            MemoryPlan plan = Plan(backend, options, contract);
            describe($"memory: {plan.Describe(free)}");
            plan.Require(free, backend.Name);
        }

        using Transformer model = Transformer.Load(backend, options.Model, exact: options.Lora is null && options.StartAdapter is null);
        if (model.Config.UnknownFields.Count > 0)
            describe($"warning: {options.Model}: fields of config.json that this program does not know: {string.Join(", ", model.Config.UnknownFields)}");
        if (contract.Dimensions != model.HiddenSize)
            throw new InputException($"training uses all {model.HiddenSize} dimensions of the model; --dimensions {contract.Dimensions} can be given when encoding");
        AdapterConfig? adapter = options.StartAdapter is not null ? LoraWeights.Load(backend, model, options.StartAdapter) : options.Lora;
        if (options.StartAdapter is null && adapter is not null) LoraWeights.Attach(backend, model, adapter, options.Training.Seed);
        if (adapter is not null) adapter = adapter with { BaseModelNameOrPath = Path.GetFullPath(options.Model), TaskType = "FEATURE_EXTRACTION" };
        IReadOnlyList<Parameter> trained = adapter is null ? model.Parameters : model.LoraParameters;
        using TextEncoder encoder = TextEncoder.Create(backend, tokenizer, model, contract);
        using ContrastiveTask task = new(backend, model,
            new ContrastiveOptions(contract.Pooling, contract.Normalize, contract.Temperature.Value, options.Training.BatchTokens, options.Training.GradientCheckpointing),
            options.Training.MaskKnownPositives,
            rows => encoder.Tokenize([.. rows.Select(row => row.Prompt is { } prompt ? prompt + row.Query : contract.FormatQuery(row.Query))], EncodingSide.Query).Sequences,
            passages => encoder.Tokenize([.. passages.Select(p => contract.FormatPassage(p.Title, p.Text))], EncodingSide.Passage).Sequences);
        TrainingJob job = new()
        {
            Data = data,
            Trained = trained,
            Task = task,
            Options = options.Training,
            OutputFolder = options.Output,
            Identity = Identity(contract, data, adapter),
            SaveWeights = folder => Save(backend, model, options.Model, adapter, contract, tokenizer, folder),
            Evaluate = dev is null ? null : () => dev.Evaluate(backend, encoder, cancellation),
        };
        Trainer trainer = new(backend, job);
        long weights = trained.Sum(p => p.Value.Count);
        describe(string.Create(CultureInfo.InvariantCulture,
            $"{data.Count:N0} examples, {trainer.TotalSteps:N0} steps of {options.Training.BatchSize * options.Training.AccumulationSteps} queries x {options.Training.TrainGroupSize} passages; {weights:N0} trained weights in {trained.Count} tensors; {backend.Name}"));
        if (dev is not null) describe(string.Create(CultureInfo.InvariantCulture, $"dev set: {dev.Queries:N0} queries over {dev.Documents:N0} documents"));
        return trainer.Run(options.Resume, progress, cancellation);
    }

    private static MemoryPlan Plan(IBackend backend, FineTuneOptions options, EncodingContract contract)
    {
        AdapterConfig? adapter = options.StartAdapter is { } start ? AdapterConfig.Load(start) : options.Lora;
        TrainingOptions training = options.Training;
        long step = training.BatchSize * (contract.QueryMaxLength + (long)training.TrainGroupSize * contract.PassageMaxLength);
        return MemoryPlan.Of(backend, options.Model, adapter, Math.Min(step, training.BatchTokens), step, training.GradientCheckpointing);
    }

    private static Dictionary<string, string> Identity(EncodingContract contract, TrainingSet data, AdapterConfig? adapter) => new()
    {
        ["base_weights"] = contract.WeightsHash,
        ["start_adapter"] = contract.AdapterHash ?? "",
        ["tokenizer"] = contract.TokenizerHash,
        ["train_data"] = data.ContentHash,
        ["adapter"] = adapter is null ? "" : string.Create(CultureInfo.InvariantCulture,
            $"r {adapter.R} alpha {adapter.LoraAlpha} dropout {adapter.LoraDropout} rslora {adapter.UseRslora} on {adapter.TargetPattern}{string.Join(',', adapter.TargetModules)}"),
        ["texts"] = string.Create(CultureInfo.InvariantCulture,
            $"query \"{contract.QueryPrefix}\" {contract.QueryMaxLength} passage \"{contract.PassagePrefix}\" {contract.PassageMaxLength} special {contract.AddSpecialTokens} eos {contract.EosTokenId}{(contract.TruncationSide == TruncationSide.Left ? " left" : "")}"),
    };

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
