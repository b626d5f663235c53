using BenchmarkDotNet.Running;
using RetrievalEngine.Bench;

// Comparisons with peers need pairs taken in turn within one run: they are programs of their own. The rest is BenchmarkDotNet's.
switch (args)
{
    case ["training-step", .. string[] rest]:
        TrainingStep.Run(rest);
        break;
    case ["attention", .. string[] rest]:
        AttentionReport.Run(rest);
        break;
    case ["encoder-speed", .. string[] rest]:
        EncoderSpeed.Run(rest);
        break;
    case ["tokenizer", .. string[] rest]:
        TokenizerReport.Run(rest);
        break;
    case ["peaks"]:
        PeaksReport.Run();
        break;
    case ["matmul", .. string[] rest]:
        MatMulReport.Run(rest);
        break;
    case ["lora"]:
        LoraReport.Run();
        break;
    case ["flat", .. string[] rest]:
        FlatReport.Run(rest);
        break;
    case ["serve", .. string[] rest]:
        ServeReport.Run(rest);
        break;
    case ["topk"]:
        TopKReport.Run();
        break;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        break;
}
