using System;
using System.CommandLine;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Reranking;
using RetrievalEngine.Training;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>train</c>: a pretrained model becomes a retriever or a reranker.</summary>
internal static class TrainCommand
{
    private const string Help = """
        Fine-tunes a model for retrieval by InfoNCE over in-batch and hard negatives, or with --task reranker into a model that scores a query with a passage, by the
        cross-entropy of each positive among its own negatives: LoRA with --lora, else all weights.

        Examples:
          retrieval train --model all-MiniLM-L6-v2 --train-data train.jsonl --output runs/full --learning-rate 2e-5 --temperature 0.05
          retrieval train --model Qwen2-0.5B --train-data train.jsonl --corpus corpus.jsonl --output runs/lora --lora --lora-r 16 --lora-alpha 64
                --train-group-size 8 --per-device-train-batch-size 32 --temperature 0.02 --query-prefix "query: " --passage-prefix "passage: "
                --dev-data scifact --dev-split test --eval-steps 50
          retrieval train --task reranker --model all-MiniLM-L6-v2 --train-data mined.jsonl --output runs/cross-encoder --learning-rate 5e-5 --train-group-size 8
          retrieval train --task reranker --preset rankllama-2024 --model Llama-2-7b-hf --train-data mined.jsonl --output runs/rankllama
          retrieval train (the same options) --resume

        Training data: Tevatron JSON lines with inline passages {"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages"}, Tevatron lines with ids
        and --corpus, FlagEmbedding lines {"query", "pos", "neg"}, or a BEIR folder. Hard negatives come from `retrieval mine`.
        The output folder gets log.jsonl (a JSON object a step), checkpoint-N folders to go on from by --resume, and at the end the adapter or the model, with
        encoding_contract.json, so that `retrieval encode` treats texts as training did. Ctrl-C saves a checkpoint and exits with 130; a resumed run ends with the same bytes.
        A reranker's folder has rerank_contract.json for `retrieval rerank`; a new score head is drawn from the seed and, with LoRA, stored whole in the adapter.
        A preset sets what its authors did; options given beside it change that (--lora false: all weights).
        Of a retriever every passage of a micro-batch is a candidate for every query of it; --gradient-accumulation-steps averages gradients of micro-batches, which share no negatives.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        TrainingOptions defaults = new();
        Option<TrainingTaskKind> task = new("--task") { Description = "What the model becomes: retriever or reranker", DefaultValueFactory = _ => TrainingTaskKind.Retriever };
        Option<string> model = CommonOptions.Model();
        model.Required = true;
        Option<string> trainData = new("--train-data", "--dataset-path") { Description = "Training examples", HelpName = "PATH", Required = true };
        Option<TrainingFormat> format = new("--train-format") { Description = "What they are, where it cannot be told from the fields", DefaultValueFactory = _ => TrainingFormat.Auto };
        Option<string?> corpus = new("--corpus", "--corpus-path") { Description = "Corpus of examples that name passages by id", HelpName = "PATH" };
        Option<string> output = new("--output", "--output-dir") { Description = "Folder for log, checkpoints and result", HelpName = "DIR", Required = true };
        Option<bool> resume = new("--resume", "--resume-from-checkpoint") { Description = "Go on from the last checkpoint in the output folder" };
        Option<string?> devData = new("--dev-data") { Description = "BEIR folder to measure on while training", HelpName = "DIR" };
        Option<string> devSplit = new("--dev-split") { Description = "Whose judgements: dev, test", DefaultValueFactory = _ => "dev" };
        Option<int> devCorpus = Number("--dev-corpus-size", "Most documents of the dev corpus; judged ones are always in", 10_000, 1);

        Option<string?> devRun = new("--dev-run") { Description = "Of a reranker: what a retriever found for the dev queries", HelpName = "RUN" };
        Option<int> devDepth = Number("--dev-depth", "Of a reranker: documents of the dev run a query", 20, 1);

        Option<bool> lora = new("--lora") { Description = "Train a LoRA adapter instead of all weights" };
        Option<int> loraR = Number("--lora-r", "Rank", 16, 1);
        Option<double> loraAlpha = Real("--lora-alpha", "The adapter is scaled by alpha / r", 64);
        Option<double> loraDropout = Real("--lora-dropout", "Dropout on the adapter's input", 0.1);
        Option<string> loraTargets = new("--lora-target-modules")
        {
            Description = "Linear maps to adapt, by the end of their names and separated by commas, or all-linear",
            HelpName = "NAMES",
            DefaultValueFactory = _ => AdapterConfig.AllLinear,
        };
        Option<bool> rslora = new("--use-rslora") { Description = "Scale by alpha / sqrt(r)" };
        Option<string?> loraStart = new("--lora-name-or-path") { Description = "Go on from this adapter (PEFT folder)", HelpName = "DIR" };

        Option<int> batch = Number("--per-device-train-batch-size", "Queries of a micro-batch", defaults.BatchSize, 1);
        Option<int> accumulation = Number("--gradient-accumulation-steps", "Micro-batches of a step", defaults.AccumulationSteps, 1);
        Option<int> group = Number("--train-group-size", "Passages of each query: one positive, the rest hard negatives", defaults.TrainGroupSize, 1);
        Option<double> epochs = Real("--num-train-epochs", "Passes over the data", defaults.Epochs);
        Option<int?> maxSteps = CommonOptions.Count("--max-steps", "Steps in all, instead of epochs");
        Option<double> rate = Real("--learning-rate", "Peak learning rate", 1e-4);
        Option<ScheduleKind> schedule = new("--lr-scheduler-type") { Description = "After the warm-up: linear, cosine or constant", DefaultValueFactory = _ => defaults.Schedule };
        Option<int?> warmupSteps = new("--warmup-steps") { Description = "Steps of warm-up", HelpName = "N" };
        Option<double> warmupRatio = Real("--warmup-ratio", "Share of all steps that is warm-up, where no steps are given", defaults.WarmupRatio);
        Option<double> decay = Real("--weight-decay", "AdamW's weight decay", defaults.WeightDecay);
        Option<bool> spare = new("--no-decay-norms-and-biases") { Description = "Spare norms and biases from weight decay" };
        Option<double> beta1 = Real("--adam-beta1", "AdamW's decay of the first moment", 0.9);
        Option<double> beta2 = Real("--adam-beta2", "AdamW's decay of the second moment", 0.999);
        Option<double> epsilon = Real("--adam-epsilon", "AdamW's epsilon", 1e-8);
        Option<double> clip = Real("--max-grad-norm", "Gradients are scaled down to this norm; 0 for no clipping", defaults.MaxGradNorm);
        Option<double?> temperature = new("--temperature") { Description = $"Similarities are divided by it (default: the model's, else {FineTuner.DefaultTemperature.ToString(CultureInfo.InvariantCulture)})", HelpName = "X" };
        Option<ulong> seed = new("--seed") { Description = "Decides order, choice of passages, LoRA's start and dropout", HelpName = "N", DefaultValueFactory = _ => defaults.Seed };
        Option<bool> noShuffle = new("--no-shuffle") { Description = "File order, first positive, first negatives" };
        Option<bool> mask = new("--mask-known-positives") { Description = "A passage that is known to be relevant to a query is no in-batch negative of it" };
        Option<bool> checkpointing = new("--gradient-checkpointing") { Description = "Less memory, a third more time: layers are computed again for the backward pass" };
        Option<int> batchTokens = Number("--batch-tokens", "Texts pass through the model in packed chunks of this many tokens: memory and speed", defaults.BatchTokens, 1);
        Option<int> saveSteps = Number("--save-steps", "Steps between checkpoints; 0 for none", defaults.SaveSteps, 0);
        Option<int> saveLimit = Number("--save-total-limit", "Checkpoints that are kept", defaults.SaveTotalLimit, 1);
        Option<int> evalSteps = Number("--eval-steps", "Steps between measurements on the dev set; 0 for one at the end", defaults.EvalSteps, 0);
        Option<int> loggingSteps = Number("--logging-steps", "Steps between lines of the log", defaults.LoggingSteps, 1);
        ContractOptions contract = new();
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json();

        Command command = new("train", Help)
        {
            task, model, trainData, format, corpus, output, resume, devData, devSplit, devCorpus, devRun, devDepth,
            lora, loraR, loraAlpha, loraDropout, loraTargets, rslora, loraStart,
            batch, accumulation, group, epochs, maxSteps, rate, schedule, warmupSteps, warmupRatio, decay, spare, beta1, beta2, epsilon, clip, temperature, seed, noShuffle, mask,
            checkpointing, batchTokens, saveSteps, saveLimit, evalSteps, loggingSteps,
        };
        foreach (Option option in contract.All) command.Add(option);
        foreach (Option option in device.All) command.Add(option);
        foreach (Option option in contract.OfPairsOnly) command.Add(option);
        command.Add(quiet);
        command.Add(json);
        Option[] ofRetriever = [.. contract.OfVectors, temperature, mask, devCorpus], ofReranker = [.. contract.OfPairsOnly, devRun, devDepth];
        command.Validators.Add(result =>
        {
            bool isReranker = result.GetValue(task) == TrainingTaskKind.Reranker;
            foreach (Option option in isReranker ? ofRetriever : ofReranker)
            {
                if (result.GetResult(option) is { Implicit: false }) result.AddError($"{option.Name} goes with --task {(isReranker ? "retriever" : "reranker")}");
            }
        });
        command.SetAction((parsed, stop) =>
        {
            TrainingTaskKind kind = parsed.GetValue(task);
            Preset? preset = contract.Preset(parsed, kind);
            TrainingOptions recipe = preset?.Training ?? defaults;
            // What was given; else the preset's; else the option's default.
            T Pick<T>(Option<T> option, T ofPreset) => preset is null || parsed.GetResult(option) is { Implicit: false } ? parsed.GetValue(option)! : ofPreset;
            AdapterConfig fresh = new()
            {
                R = Pick(loraR, preset?.Lora?.R ?? parsed.GetValue(loraR)),
                LoraAlpha = Pick(loraAlpha, preset?.Lora?.LoraAlpha ?? parsed.GetValue(loraAlpha)),
                LoraDropout = Pick(loraDropout, preset?.Lora?.LoraDropout ?? parsed.GetValue(loraDropout)),
                UseRslora = parsed.GetValue(rslora),
            };
            string targets = Pick(loraTargets, preset?.Lora is { } adapted ? string.Join(',', adapted.TargetModules) : parsed.GetValue(loraTargets)!);
            fresh = targets == AdapterConfig.AllLinear
                ? fresh with { TargetPattern = targets }
                : fresh with { TargetModules = targets.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) };
            FineTuneOptions options = new()
            {
                Task = kind,
                Model = parsed.GetRequiredValue(model),
                TrainData = parsed.GetRequiredValue(trainData),
                Format = parsed.GetValue(format),
                Corpus = parsed.GetValue(corpus),
                DevData = parsed.GetValue(devData),
                DevSplit = parsed.GetValue(devSplit)!,
                DevCorpusSize = parsed.GetValue(devCorpus),
                Output = parsed.GetRequiredValue(output),
                DevRun = parsed.GetValue(devRun),
                DevDepth = parsed.GetValue(devDepth),
                Lora = Pick(lora, preset?.Lora is not null) ? fresh : null,
                StartAdapter = parsed.GetValue(loraStart),
                Resume = parsed.GetValue(resume),
                Contract = kind == TrainingTaskKind.Reranker ? new ContractOverrides()
                    : contract.Read(parsed) is var texts && parsed.GetValue(temperature) is { } given ? texts with { Temperature = (float)given } : texts,
                Rerank = kind == TrainingTaskKind.Reranker ? contract.ReadPairs(parsed) : new RerankOverrides(),
                Training = new TrainingOptions
                {
                    BatchSize = Pick(batch, recipe.BatchSize),
                    AccumulationSteps = Pick(accumulation, recipe.AccumulationSteps),
                    TrainGroupSize = Pick(group, recipe.TrainGroupSize),
                    Epochs = Pick(epochs, recipe.Epochs),
                    MaxSteps = parsed.GetValue(maxSteps),
                    LearningRate = (float)Pick(rate, recipe.LearningRate),
                    Schedule = Pick(schedule, recipe.Schedule),
                    WarmupSteps = Pick(warmupSteps, recipe.WarmupSteps),
                    WarmupRatio = Pick(warmupRatio, recipe.WarmupRatio),
                    WeightDecay = (float)parsed.GetValue(decay),
                    SpareNormsAndBiases = parsed.GetValue(spare),
                    Beta1 = (float)parsed.GetValue(beta1),
                    Beta2 = (float)parsed.GetValue(beta2),
                    Epsilon = (float)parsed.GetValue(epsilon),
                    MaxGradNorm = (float)parsed.GetValue(clip),
                    Seed = parsed.GetValue(seed),
                    Shuffle = !parsed.GetValue(noShuffle),
                    MaskKnownPositives = parsed.GetValue(mask),
                    BatchTokens = parsed.GetValue(batchTokens),
                    GradientCheckpointing = parsed.GetValue(checkpointing),
                    SaveSteps = parsed.GetValue(saveSteps),
                    SaveTotalLimit = parsed.GetValue(saveLimit),
                    EvalSteps = parsed.GetValue(evalSteps),
                    LoggingSteps = parsed.GetValue(loggingSteps),
                },
            };
            using IBackend backend = device.Create(parsed, parsed.GetValue(quiet));
            return Task.FromResult(Run(backend, options, parsed.GetValue(quiet), parsed.GetValue(json), stop));
        });
        return command;
    }

    private static int Run(IBackend backend, FineTuneOptions options, bool quiet, bool json, CancellationToken stop)
    {
        TrainingSummary summary = ProgressDisplay.Run(quiet, progress => FineTuner.Run(backend, options, progress, sentence =>
        {
            if (!quiet) Console.Error.WriteLine(sentence);
        }, stop));
        if (json)
        {
            JsonOutput.Print(writer =>
            {
                writer.WriteString("output", options.Output);
                writer.WriteString("backend", backend.Name);
                writer.WriteNumber("steps", summary.StepsDone);
                writer.WriteNumber("total_steps", summary.TotalSteps);
                if (float.IsFinite(summary.FinalLoss)) writer.WriteNumber("loss", summary.FinalLoss);
                writer.WriteNumber("tokens", summary.Tokens);
                writer.WriteNumber("seconds", summary.Seconds);
            });
            return ExitCodes.Done;
        }

        Console.Out.WriteLine(summary.StepsDone == 0
            ? $"already complete: {options.Output}"
            : string.Create(CultureInfo.InvariantCulture,
                $"{summary.StepsDone} steps, {summary.Tokens:N0} tokens in {summary.Seconds:F1} s ({summary.Tokens / summary.Seconds:N0} tokens/s), last loss {summary.FinalLoss:F4}: {options.Output}"));
        return ExitCodes.Done;
    }

    private static Option<int> Number(string name, string description, int otherwise, int least)
    {
        Option<int> option = new(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => otherwise };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < least) result.AddError($"{name} must be at least {least}");
        });
        return option;
    }

    private static Option<double> Real(string name, string description, double otherwise)
    {
        Option<double> option = new(name) { Description = description, HelpName = "X", DefaultValueFactory = _ => otherwise };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double>() is not (>= 0 and < double.PositiveInfinity)) result.AddError($"{name} must be a number of at least 0");
        });
        return option;
    }
}
